"""Several judges become one score.

On ordinary data a majority of judges beats its members; where they share a bias it is worse than the best of them
(LLMBar: 0.49 against 0.70). Weights learned from people's labels mend that, see `steps.judging.weights`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from steps.judging.verdict import Verdict

Floats = NDArray[np.float64]
Aggregate = Literal["mean", "median", "majority", "weighted"]

#: From here on, on a scale of 0 to 1, a member's score is a vote for the row.
PASS_LEVEL = 0.5


def scores_of(verdicts: Sequence[Sequence[Verdict]], scales: Sequence[tuple[float, float]]) -> Floats:
    """Put the scores of all members on one scale, 0 to 1.

    Args:
        verdicts: Of each member, one per row, all in the same order.
        scales: Lowest and highest score of each member.

    Returns:
        Shape `[rows, members]`; NaN where a member gave no score.
    """
    n_rows = len(verdicts[0]) if verdicts else 0
    scores = np.full((n_rows, len(verdicts)), np.nan)
    for member, (given, (low, high)) in enumerate(zip(verdicts, scales, strict=True)):
        raw = np.array([np.nan if one.score is None else one.score for one in given], np.float64)
        scores[:, member] = (raw - low) / (high - low)
    return scores


def combine(scores: Floats, aggregate: Aggregate, quorum: int, weights: Sequence[float] | None = None) -> Floats:
    """Make one score of each row's scores. A member without a score is left out, never counted as 0.

    Args:
        scores: Shape `[rows, members]`, on a scale of 0 to 1, NaN where a member gave none.
        aggregate: `majority` is the share of members that score at least `PASS_LEVEL`: above a half, most are for it.
        quorum: Members that must have given a score; with fewer the row has none.
        weights: Of the members, 0 or more; needed by `weighted`.

    Returns:
        Shape `[rows]`, NaN where the quorum was missed or no member that counts gave a score.

    >>> combine(np.array([[0.0, 0.5, 1.0], [0.2, np.nan, np.nan]]), "median", 2).tolist()
    [0.5, nan]
    """
    heard = ~np.isnan(scores)
    enough = heard.sum(axis=1) >= max(1, quorum)
    values = np.where(heard, scores, 0.0)
    if aggregate == "weighted":
        if weights is None:
            raise ValueError("aggregate=weighted needs weights")
        share = np.where(heard, np.asarray(weights, np.float64), 0.0)
    else:
        share = heard.astype(np.float64)
    if aggregate == "majority":
        values = (np.where(heard, scores, 0.0) >= PASS_LEVEL).astype(np.float64)
    total = share.sum(axis=1)
    combined: Floats = np.divide((values * share).sum(axis=1), total, out=np.full(len(scores), np.nan), where=total > 0)
    if aggregate == "median":
        for row in np.flatnonzero(enough):
            combined[row] = np.median(scores[row][heard[row]])
    combined[~enough] = np.nan
    return combined


def spread_of(scores: Floats) -> Floats:
    """Return how far the members lie apart on each row, 0 to 1; NaN where fewer than two gave a score."""
    heard = ~np.isnan(scores)
    top, bottom = np.where(heard, scores, -np.inf).max(axis=1), np.where(heard, scores, np.inf).min(axis=1)
    return np.where(heard.sum(axis=1) >= 2, top - bottom, np.nan)


def agreement_of(scores: Floats, names: Sequence[str]) -> list[dict[str, object]]:
    """Say how far each two members agree on the rows that both scored.

    Returns:
        Per pair of members `judges`, `n` rows, `spearman` (rank correlation; None where one of them gave all rows the
        same score), `same_vote`: the share of rows on which both say pass or both say fail (`PASS_LEVEL`).
    """
    from scipy.stats import spearmanr

    found = []
    for left in range(len(names)):
        for right in range(left + 1, len(names)):
            pair = scores[:, [left, right]]
            pair = pair[~np.isnan(pair).any(axis=1)]
            varied = len(pair) > 2 and all(len(np.unique(column)) > 1 for column in pair.T)
            votes = pair >= PASS_LEVEL
            found.append(
                {
                    "judges": [names[left], names[right]],
                    "n": len(pair),
                    "spearman": float(spearmanr(pair[:, 0], pair[:, 1]).statistic) if varied else None,
                    "same_vote": float((votes[:, 0] == votes[:, 1]).mean()) if len(pair) else None,
                }
            )
    return found


def weights_in(known: Mapping[str, float], fingerprints: Sequence[str]) -> list[float]:
    """Return the learned weights in the order of the members."""
    return [known[fingerprint] for fingerprint in fingerprints]
