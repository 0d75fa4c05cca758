"""Labels as a matrix of items and annotators: the majority, how far people agree, and the ceiling that this sets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from steps.judging.coefficients import (
    Estimate,
    Resampling,
    bootstrapped,
    cohen_kappa,
    fleiss_kappa,
    krippendorff_alpha,
    order_agreement,
    wilson,
)
from steps.judging.labels import Label
from steps.judging.weights import credits_of

Floats = NDArray[np.float64]


class Ratings(NamedTuple):
    """What people said: values of shape `[items, annotators]`, NaN where somebody said nothing."""

    items: list[str]
    annotators: list[str]
    values: Floats
    nominal: bool
    """Whether the majority is the most frequent value (pairs, yes-no) or the median (scales)."""


def ratings_of(labels: Sequence[Label], criterion: str | None = None) -> Ratings:
    """Return the ratings of the whole, or of one criterion.

    A pair that somebody saw in both orders counts once: with its value where both agree, else as a tie.
    """
    cells: dict[tuple[str, str], list[float]] = defaultdict(list)
    for label in labels:
        value = label.value if criterion is None else label.criteria.get(criterion)
        if value is not None:
            cells[label.item_id, label.annotator].append(value)
    items, annotators = (sorted({key[at] for key in cells}) for at in (0, 1))
    values = np.full((len(items), len(annotators)), np.nan)
    row, column = ({name: at for at, name in enumerate(names)} for names in (items, annotators))
    pairwise = any(label.order is not None for label in labels)
    for (item, annotator), said in cells.items():
        mean = sum(said) / len(said)
        values[row[item], column[annotator]] = (1 + np.sign(mean - 0.5)) / 2 if pairwise else mean
    nominal = pairwise or set(np.unique(values[~np.isnan(values)])) <= {0.0, 1.0}
    return Ratings(items, annotators, values, nominal)


def majority_of(values: Floats, nominal: bool) -> Floats:
    """Return the value most annotators gave, NaN where no single one leads; of scales the median.

    >>> majority_of(np.array([[1, 1, 0], [1, 0, np.nan]]), nominal=True)
    array([ 1., nan])
    """
    rated = ~np.isnan(values).all(1)
    found = np.full(len(values), np.nan)
    if not nominal:
        found[rated] = np.nanmedian(values[rated], axis=1)
        return found
    levels = np.unique(values[~np.isnan(values)])
    if not len(levels):
        return found
    votes = np.stack([(values == level).sum(1) for level in levels], axis=1)
    leads = votes == votes.max(1, keepdims=True)
    single = rated & (leads.sum(1) == 1)
    found[single] = levels[votes[single].argmax(1)]
    return found


def agreement_of(people: Floats, judge: Floats, pairwise: bool, how: Resampling) -> Estimate:
    """Return the share of decisions that are alike: of pairs, or of pairs of single answers.

    Of pairs, those with a winner by the majority count, and a tie of the judge is half right: what a coin would make of
    it. People's ties are left out because people themselves hardly agree on them (Zheng et al. 2023, table 5: 0.63 with
    ties, 0.81 without).
    """
    if not pairwise:
        return order_agreement(people, judge, how)
    credit = credits_of(np.where(people == 0.5, np.nan, people), judge)
    known = credit[~np.isnan(credit)]
    return wilson(float(known.sum()), len(known))


def people_report(ratings: Ratings, pairwise: bool, how: Resampling) -> dict[str, Any]:
    """Return how far the annotators agree with each other, and the human ceiling."""
    level = "nominal" if ratings.nominal else "ordinal"
    alphas = {"nominal"} if pairwise else {"nominal", "ordinal", "interval"}
    return {
        "annotators": [
            {"annotator": name, "n": int((~np.isnan(ratings.values[:, at])).sum())}
            for at, name in enumerate(ratings.annotators)
        ],
        "pairs": _annotator_pairs(ratings),
        "fleiss_kappa": fleiss_kappa(ratings.values, how)._asdict(),
        "alpha": {
            name: krippendorff_alpha(ratings.values, name, how)._asdict()  # type: ignore[arg-type]
            for name in sorted(alphas, key=("nominal", "ordinal", "interval").index)
        },
        "alpha_level": level,
        "ceiling": ceiling_of(ratings, pairwise, how)._asdict(),
    }


def ceiling_of(ratings: Ratings, pairwise: bool, how: Resampling) -> Estimate:
    """Return how far one person agrees with the majority of the others, over all annotators and items.

    A judge cannot be shown to do better than this by the same labels.
    """
    if len(ratings.annotators) < 2:
        return Estimate(None, None, None, 0)
    alike, counted = np.zeros(len(ratings.items)), np.zeros(len(ratings.items))
    shares = []
    for at in range(len(ratings.annotators)):
        own, others = ratings.values[:, at], majority_of(np.delete(ratings.values, at, axis=1), ratings.nominal)
        if not pairwise:
            shares.append(order_agreement(others, own, how))
            continue
        credit = credits_of(np.where(others == 0.5, np.nan, others), own)
        known = ~np.isnan(credit)
        alike[known] += credit[known]
        counted += known
    if not pairwise:
        return _mean_of(shares)
    some = counted > 0
    if not some.any():
        return Estimate(None, None, None, 0)
    return bootstrapped(lambda counts: (counts @ alike[some]) / (counts @ counted[some]), int(some.sum()), how)


def _mean_of(shares: Sequence[Estimate]) -> Estimate:
    """Return the mean of the annotators' estimates; the ends are means too, which is wider than need be."""
    known = [each for each in shares if each.value is not None]
    if not known:
        return Estimate(None, None, None, 0)
    value, low, high = (float(end) for end in np.array([each[:3] for each in known], dtype=np.float64).mean(0))
    return Estimate(value, low, high, max(each.n for each in known))


def _annotator_pairs(ratings: Ratings) -> list[dict[str, Any]]:
    """Return agreement and kappa of every two annotators with an item in common."""
    found = []
    for a, b in combinations(range(len(ratings.annotators)), 2):
        x, y = ratings.values[:, a], ratings.values[:, b]
        both = ~(np.isnan(x) | np.isnan(y))
        if both.any():
            kappa = cohen_kappa(x, y, Resampling(n_resamples=0), None if ratings.nominal else "quadratic")
            alike = wilson(int((x[both] == y[both]).sum()), int(both.sum()))
            names = {"a": ratings.annotators[a], "b": ratings.annotators[b]}
            found.append({**names, "n": int(both.sum()), "same": alike.value, "kappa": kappa.value})
    return found
