"""Coefficients of agreement beyond chance, each with its bootstrap interval over items.

Ratings are a float64 array of shape `[items, raters]`, NaN where a rater said nothing. An interval resamples items, not
ratings, because the ratings of one item depend on each other. Each coefficient is a function of sums over items, so
that a resample is a vector of counts and all resamples are one matrix product.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Level = Literal["nominal", "ordinal", "interval"]

#: 2.5 % of a normal distribution lie above.
_Z = 1.959963984540054
#: Counts of resamples held in memory at once, 8 bytes each.
_BLOCK = 1 << 21


class Estimate(NamedTuple):
    """A figure with its 95 % interval over `n` items; None where it is not defined, e.g. if nobody ever differs."""

    value: float | None
    low: float | None
    high: float | None
    n: int


class Resampling(NamedTuple):
    """How intervals are made."""

    seed: int = 7
    n_resamples: int = 2000
    """0 makes none."""


def wilson(successes: float, n: int) -> Estimate:
    """Return a proportion with its 95 % interval (Wilson 1927); halves count as half a success.

    With halves the interval is wider than it need be: no distribution on [0, 1] of the same mean varies more than the
    one of zeros and ones.

    >>> [round(x, 3) for x in wilson(81, 263)[:3]]
    [0.308, 0.255, 0.366]
    """
    if not n:
        return Estimate(None, None, None, 0)
    share, z2 = successes / n, _Z**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z / (1 + z2 / n) * float(np.sqrt(share * (1 - share) / n + z2 / (4 * n * n)))
    return Estimate(share, max(0.0, centre - half), min(1.0, centre + half), n)


def cohen_kappa(a: Floats, b: Floats, how: Resampling, weights: Literal["quadratic"] | None = None) -> Estimate:
    """Return Cohen's kappa of two raters over the items that both rated (Cohen 1960; 1968 with weights)."""
    both = ~(np.isnan(a) | np.isnan(b))
    if not both.any():
        return Estimate(None, None, None, 0)
    levels, codes = np.unique(np.concatenate([a[both], b[both]]), return_inverse=True)
    k, n = len(levels), int(both.sum())
    cells = np.zeros((n, k * k))
    cells[np.arange(n), codes[:n] * k + codes[n:]] = 1
    cost = 1 - np.eye(k) if weights is None else (levels[:, None] - levels[None, :]) ** 2

    def kappas(counts: Floats) -> Floats:
        tables = (counts @ cells).reshape(-1, k, k)
        chance = tables.sum(2)[:, :, None] * tables.sum(1)[:, None, :] / tables.sum((1, 2))[:, None, None]
        return _one_minus(np.tensordot(tables, cost, 2), np.tensordot(chance, cost, 2))

    return bootstrapped(kappas, n, how)


def fleiss_kappa(ratings: Floats, how: Resampling) -> Estimate:
    """Return Fleiss' kappa (1971) over the items with two ratings or more; their number may differ between items."""
    used, values = _rated_twice(ratings)
    if not len(used):
        return Estimate(None, None, None, 0)
    counts_of = np.stack([(used == value).sum(1) for value in values], axis=1).astype(np.float64)
    n_raters = counts_of.sum(1)
    agreement = (counts_of * (counts_of - 1)).sum(1) / (n_raters * (n_raters - 1))

    def kappas(counts: Floats) -> Floats:
        observed = counts @ agreement / counts.sum(1)
        shares = counts @ counts_of
        shares /= shares.sum(1, keepdims=True)
        return _one_minus(1 - observed, 1 - (shares**2).sum(1))

    return bootstrapped(kappas, len(used), how)


def krippendorff_alpha(ratings: Floats, level: Level, how: Resampling) -> Estimate:
    """Return Krippendorff's alpha (2011, "Computing alpha-reliability") over the items rated twice or more."""
    used, values = _rated_twice(ratings)
    if not len(used):
        return Estimate(None, None, None, 0)
    k = len(values)
    counts_of = np.stack([(used == value).sum(1) for value in values], axis=1).astype(np.float64)
    pairs = counts_of[:, :, None] * counts_of[:, None, :] - counts_of[:, :, None] * np.eye(k)
    pairs = (pairs / (counts_of.sum(1) - 1)[:, None, None]).reshape(len(used), k * k)

    def alphas(counts: Floats) -> Floats:
        coincidences = (counts @ pairs).reshape(-1, k, k)
        totals = coincidences.sum(2)
        cost = _distances(values, totals, level)
        n = totals.sum(1)
        expected = totals[:, :, None] * totals[:, None, :] / (n - 1)[:, None, None]
        return _one_minus((coincidences * cost).sum((1, 2)), (expected * cost).sum((1, 2)))

    return bootstrapped(alphas, len(used), how)


def spearman(a: Floats, b: Floats, how: Resampling) -> Estimate:
    """Return Spearman's rank correlation over the items that both rated."""
    from scipy.stats import rankdata

    both = ~(np.isnan(a) | np.isnan(b))
    n = int(both.sum())
    if n < 2:
        return Estimate(None, None, None, n)
    pair = np.stack([a[both], b[both]])

    def correlations(counts: Floats) -> Floats:
        rows = np.stack([np.repeat(np.arange(n), each) for each in counts.astype(np.int64)])
        x, y = (rankdata(side[rows], axis=1) for side in pair)
        x, y = x - x.mean(1, keepdims=True), y - y.mean(1, keepdims=True)
        return _ratio((x * y).sum(1), np.sqrt((x**2).sum(1) * (y**2).sum(1)))

    return bootstrapped(correlations, n, how)


def kendall_tau(a: Floats, b: Floats, how: Resampling) -> Estimate:
    """Return Kendall's tau-b over the items that both rated."""
    signs = _signs(a, b)
    if signs is None:
        return Estimate(None, None, None, 0)
    x, y = signs

    def taus(counts: Floats) -> Floats:
        untied = [_pairs(counts, np.abs(side)) for side in signs]
        return _ratio(_pairs(counts, x * y), np.sqrt(untied[0] * untied[1]))

    return bootstrapped(taus, len(x), how)


def order_agreement(people: Floats, judge: Floats, how: Resampling) -> Estimate:
    """Return the share of pairs of items which people rank apart that the judge ranks alike; its ties count half.

    With labels of two levels it is the area under the ROC curve.
    """
    signs = _signs(people, judge)
    if signs is None:
        return Estimate(None, None, None, 0)
    x, y = signs
    alike = ((x * y > 0) + 0.5 * ((x != 0) & (y == 0))).astype(np.float64)
    return bootstrapped(lambda counts: _ratio(_pairs(counts, alike), _pairs(counts, np.abs(x))), len(x), how)


def bootstrapped(statistic: Callable[[Floats], Floats], n: int, how: Resampling) -> Estimate:
    """Return a statistic with its percentile interval over resampled items (Efron & Tibshirani 1993, chapter 13).

    Args:
        statistic: Maps counts of shape `[resamples, n]`, how often each item is drawn, to one value per resample.
        n: Number of items.
        how: Seed and number of resamples. Resamples for which the statistic is not defined are left out.
    """
    value = float(statistic(np.ones((1, n)))[0])
    if np.isnan(value):
        return Estimate(None, None, None, n)
    rng, size = np.random.default_rng(how.seed), max(1, _BLOCK // n)
    draws: list[Floats] = []
    for at in range(0, how.n_resamples, size):
        counts = rng.multinomial(n, np.full(n, 1 / n), size=min(size, how.n_resamples - at))
        draws.append(statistic(counts.astype(np.float64)))
    drawn = np.concatenate(draws) if draws else np.zeros(0)
    drawn = drawn[~np.isnan(drawn)]
    if not len(drawn):
        return Estimate(value, None, None, n)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Estimate(value, float(low), float(high), n)


def _rated_twice(ratings: Floats) -> tuple[Floats, Floats]:
    """Return the items with two ratings or more, and the values that occur in them."""
    used = ratings[(~np.isnan(ratings)).sum(1) >= 2]
    return used, np.unique(used[~np.isnan(used)])


def _distances(values: Floats, totals: Floats, level: Level) -> Any:
    """Return the squared distances of values, `[k, k]` or, for ordinal ones, `[resamples, k, k]`."""
    if level == "nominal":
        return 1 - np.eye(len(values))
    if level == "interval":
        return (values[:, None] - values[None, :]) ** 2
    middles = np.cumsum(totals, axis=1) - totals / 2
    return (middles[:, :, None] - middles[:, None, :]) ** 2


def _signs(a: Floats, b: Floats) -> tuple[Floats, Floats] | None:
    """Return for both raters the sign of the difference of each pair of items, `[n, n]`; None below two items."""
    both = ~(np.isnan(a) | np.isnan(b))
    if both.sum() < 2:
        return None
    x, y = (np.sign(side[both][:, None] - side[both][None, :]) for side in (a, b))
    return x, y


def _pairs(counts: Floats, of: Floats) -> Floats:
    """Return the sum of `of` over all ordered pairs of drawn items."""
    summed: Floats = ((counts @ of) * counts).sum(1)
    return summed


def _ratio(above: Floats, below: Floats) -> Floats:
    found: Floats = np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0)
    return found


def _one_minus(observed: Floats, expected: Floats) -> Floats:
    """Return 1 − observed ÷ expected disagreement; NaN where chance alone never disagrees."""
    found: Floats = 1 - np.divide(observed, expected, out=np.full(len(observed), np.nan), where=expected > 1e-12)
    return found
