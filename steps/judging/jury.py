"""A jury: what several judges say of one item, made into one score, with every vote kept.

Majority helps where judges err independently and fails where they share a bias: on LLMBar's saved judgments three weak
judges by majority decide 0.49 of the pairs as people do, their best member 0.70, members weighted by 50 labels 0.70.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from steps.judging.verdict import Unscored, Verdict

Floats = npt.NDArray[np.float64]

#: How votes become a score. `majority` is strict: a tie is no majority.
Aggregate = Literal["mean", "median", "majority", "weighted"]
#: Room for what a weighted mean of levels loses to rounding.
_ROUNDING = 1e-9


class Combined(NamedTuple):
    """The jury's say on one item."""

    score: float | None
    """In [0, 1]."""
    unscored_reason: Unscored | None
    votes: dict[str, float]
    """Of the members that scored, each on [0, 1], by name."""
    disagreement: float | None
    """Highest minus lowest vote; None with fewer than two votes."""
    detail: str
    """The votes, and what each silent member gives as reason."""


def default_quorum(n_judges: int) -> int:
    """Return a strict majority of the members.

    >>> [default_quorum(n) for n in (1, 2, 3, 4, 5)]
    [1, 2, 2, 3, 3]
    """
    return n_judges // 2 + 1


def combine(
    verdicts_by_judge: Mapping[str, Sequence[Verdict]],
    aggregate: Aggregate,
    weights: Mapping[str, float] | None = None,
    quorum: int | None = None,
    *,
    scales: Mapping[str, tuple[float, float]] | None = None,
    pass_level: float = 0.5,
) -> list[Combined]:
    """Combine the verdicts on each item. A member without a score is left out; it is no vote of 0.

    Args:
        verdicts_by_judge: Judge's name -> one verdict per item, all in the same order.
        aggregate: How; `majority` gives 1 where more than half of the votes cast are at `pass_level` or above, else 0.
        weights: Judge's name -> weight, 0 or more, for `weighted`.
        quorum: Votes that an item needs; None is a strict majority of the members.
        scales: Judge's name -> lowest and highest score; a judge that is not named has [0, 1].
        pass_level: Vote in [0, 1] from which on a member counts as being for the item.

    Raises:
        ValueError: if weights are missing or negative, or the sequences differ in length.
    """
    names = list(verdicts_by_judge)
    if aggregate == "weighted" and (weights is None or not set(names) <= weights.keys() or min(weights.values()) < 0):
        raise ValueError("aggregate=weighted needs a weight of 0 or more for every judge")
    votes = votes_of(verdicts_by_judge, scales or {})
    heard = ~np.isnan(votes)
    shares = np.array([weights[name] for name in names]) if aggregate == "weighted" and weights else np.ones(len(names))
    enough = (heard.sum(1) >= (quorum or default_quorum(len(names)))) & (heard @ shares > 0)
    scores = np.full(len(votes), np.nan)
    scores[enough] = _AGGREGATES[aggregate](votes[enough], shares, pass_level)
    rows = zip(*verdicts_by_judge.values(), strict=True)
    return [_combined(names, found, vote, float(score)) for found, vote, score in zip(rows, votes, scores, strict=True)]


def votes_of(verdicts_by_judge: Mapping[str, Sequence[Verdict]], scales: Mapping[str, tuple[float, float]]) -> Floats:
    """Return the scores on [0, 1], of shape `[n, judges]`, NaN where a judge gave none."""
    columns = []
    for name, verdicts in verdicts_by_judge.items():
        low, high = scales.get(name, (0.0, 1.0))
        raw = np.array([np.nan if one.score is None else one.score for one in verdicts], np.float64)
        columns.append(np.clip((raw - low) / (high - low), 0.0, 1.0))
    return np.stack(columns, axis=1) if columns else np.empty((0, 0))


def _weighted_mean(votes: Floats, shares: Floats, _: float) -> Floats:
    heard = ~np.isnan(votes)
    mean: Floats = (np.where(heard, votes, 0.0) @ shares) / (heard @ shares)
    bounded: Floats = np.minimum(np.maximum(mean, 0.0), 1.0)
    return bounded


def _median(votes: Floats, _: Floats, __: float) -> Floats:
    found: Floats = np.nanmedian(votes, axis=1) if len(votes) else np.empty(0)
    return found


def _majority(votes: Floats, _: Floats, pass_level: float) -> Floats:
    n_for = (votes >= pass_level - _ROUNDING).sum(1)
    passed: Floats = (2 * n_for > (~np.isnan(votes)).sum(1)).astype(np.float64)
    return passed


_AGGREGATES = {"mean": _weighted_mean, "weighted": _weighted_mean, "median": _median, "majority": _majority}


def _combined(names: Sequence[str], verdicts: Sequence[Verdict], votes: Floats, score: float) -> Combined:
    said, cast = [], {}
    for name, verdict, vote in zip(names, verdicts, votes.tolist(), strict=True):
        if verdict.score is None:
            said.append(f"{name}: {verdict.unscored_reason}")
        else:
            cast[name] = vote
            said.append(f"{name} {vote:.3g}")
    disagreement = max(cast.values()) - min(cast.values()) if len(cast) > 1 else None
    if np.isnan(score):
        return Combined(None, Unscored.TOO_FEW_JUDGES, cast, disagreement, ", ".join(said))
    return Combined(score, None, cast, disagreement, ", ".join(said))


def member_agreement(names: Sequence[str], votes: Floats, pass_level: float) -> list[dict[str, Any]]:
    """Compare the members with each other, two by two, on the items that both scored.

    Args:
        names: Of the members.
        votes: Of shape `[n, judges]`, in [0, 1], NaN for none.
        pass_level: Votes at or above it are for an item.

    Returns:
        Per pair `first, second, n, same_side` (share of items on which both are for it, or both are not), `spearman`
        (rank correlation; None where one says the same of all) and `mean_difference` (first minus second).
    """
    found = []
    for i, j in combinations(range(len(names)), 2):
        both = ~np.isnan(votes[:, i]) & ~np.isnan(votes[:, j])
        left, right = votes[both, i], votes[both, j]
        sides = (left >= pass_level - _ROUNDING) == (right >= pass_level - _ROUNDING)
        found.append(
            {
                "first": names[i],
                "second": names[j],
                "n": int(both.sum()),
                "same_side": float(sides.mean()) if both.any() else None,
                "spearman": _spearman(left, right),
                "mean_difference": float((left - right).mean()) if both.any() else None,
            }
        )
    return found


def _spearman(left: Floats, right: Floats) -> float | None:
    if len(left) < 2 or np.ptp(left) == 0 or np.ptp(right) == 0:
        return None
    from scipy.stats import rankdata

    return float(np.corrcoef(rankdata(left), rankdata(right))[0, 1])
