"""Whether the place or the length of an answer decides, rather than its content: of judges, and of people."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from steps.judging.coefficients import Resampling, bootstrapped, spearman, wilson
from steps.judging.weights import credits_of

Floats = NDArray[np.float64]

_TERCILES = ("near", "middle", "far")


def position_bias(ab: Floats, ba: Floats) -> dict[str, Any]:
    """Return how often the answer shown first wins, and how often both orders name the same winner.

    Args:
        ab: P(the pair's first answer is better) when it was shown first; NaN where that order was not asked.
        ba: The same, when it was shown second.

    Returns:
        `first_wins`: share of decided verdicts for the answer shown first, 0.5 without bias; `consistent`: share of the
        pairs asked twice with the same outcome; `always_first`, `always_second`: share of them where the place won
        twice.
    """
    a, b = _side(ab), -_side(ba)  # both now: 1 if the one shown first wins
    decided = [int((side[~np.isnan(side)] != 0).sum()) for side in (a, b)]
    won = [int((side[~np.isnan(side)] > 0).sum()) for side in (a, b)]
    twice = ~(np.isnan(a) | np.isnan(b))
    n = int(twice.sum())
    return {
        "first_wins": wilson(sum(won), sum(decided))._asdict(),
        "consistent": wilson(int((a[twice] == -b[twice]).sum()), n)._asdict(),
        "always_first": wilson(int(((a[twice] > 0) & (b[twice] > 0)).sum()), n)._asdict(),
        "always_second": wilson(int(((a[twice] < 0) & (b[twice] < 0)).sum()), n)._asdict(),
    }


def length_bias(judge: Floats, people: Floats, lengths: Floats, how: Resampling) -> dict[str, Any]:
    """Return how often the longer answer wins, by the judge and by people, and where the judge agrees.

    People prefer longer answers too, so a judge's share alone is no bias: `excess` is the judge's minus the people's on
    the same pairs.

    Args:
        judge: P(first is better).
        people: P(first is better) by the majority; NaN where there is none.
        lengths: Characters of both answers, `[n, 2]`.
        how: Seed and number of resamples.
    """
    towards = np.sign(lengths[:, 0] - lengths[:, 1])
    judge_longer, people_longer = (_side(side) * np.where(towards == 0, np.nan, towards) for side in (judge, people))
    judged, said = (~np.isnan(side) & (side != 0) for side in (judge_longer, people_longer))
    both = judged & said
    gap = (judge_longer[both] > 0).astype(float) - (people_longer[both] > 0)
    credit = credits_of(np.where(_side(people) == 0, np.nan, people), judge)
    known = ~np.isnan(credit)
    distance = np.abs(lengths[:, 0] - lengths[:, 1]) / np.maximum(lengths.max(1), 1)
    return {
        "judge_longer_wins": wilson(int((judge_longer[judged] > 0).sum()), int(judged.sum()))._asdict(),
        "people_longer_wins": wilson(int((people_longer[said] > 0).sum()), int(said.sum()))._asdict(),
        "excess": _mean(gap, how),
        "agreement_if_longer_is_better": _share(credit[known & (people_longer > 0)]),
        "agreement_if_shorter_is_better": _share(credit[known & (people_longer < 0)]),
        "agreement_by_difference": _by_tercile(credit[known], distance[known]),
    }


def score_length_bias(judge: Floats, people: Floats, lengths: Floats, how: Resampling) -> dict[str, Any]:
    """Return the rank correlation of scores with the answer's length, by the judge and by people."""
    return {
        "judge_with_length": spearman(judge, lengths, how)._asdict(),
        "people_with_length": spearman(people, lengths, how)._asdict(),
    }


def _side(preference: Floats) -> Floats:
    """Return 1 for the first, −1 for the second, 0 for a tie, NaN for nothing."""
    return np.sign(np.round(preference - 0.5, 9))


def _by_tercile(credit: Floats, distance: Floats) -> list[dict[str, Any]]:
    """Return the agreement in thirds of the pairs by relative difference of length."""
    if len(credit) < len(_TERCILES):
        return []
    order = np.argsort(distance, kind="stable")
    return [
        {
            "tercile": name,
            "from": float(distance[rows[0]]),
            "to": float(distance[rows[-1]]),
            **_share(credit[rows]),
        }
        for name, rows in zip(_TERCILES, np.array_split(order, len(_TERCILES)), strict=True)
    ]


def _share(credit: Floats) -> dict[str, Any]:
    return wilson(float(credit.sum()), len(credit))._asdict()


def _mean(values: Floats, how: Resampling) -> dict[str, Any]:
    if not len(values):
        return {"value": None, "low": None, "high": None, "n": 0}
    return bootstrapped(lambda counts: counts @ values / counts.sum(1), len(values), how)._asdict()
