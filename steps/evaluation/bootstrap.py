"""Bootstrap intervals over rows, and the sign-flip test: how sure a measured difference is.

Every statistic here is a ratio of sums, `sum(numerators) / sum(denominators)`: a mean of scores has ones below, a loss
per token has token counts. Rows are resampled, not tokens, because the tokens of one row depend on each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Random draws held in memory at once, 8 bytes each.
_BLOCK = 1 << 21


class Interval(NamedTuple):
    """A mean (or ratio) with its interval, over `n` rows."""

    mean: float
    low: float
    high: float
    n: int


class Sample(NamedTuple):
    """Numerators and denominators of the rows, both float64 of shape `[n]`."""

    numerators: Floats
    denominators: Floats

    @classmethod
    def of_scores(cls, scores: Sequence[float] | Floats) -> Sample:
        """A sample whose ratio is the mean of the scores."""
        values = np.asarray(scores, dtype=np.float64)
        return cls(values, np.ones_like(values))

    @property
    def ratio(self) -> float:
        """The statistic of the whole sample."""
        return float(self.numerators.sum() / self.denominators.sum())


def interval(sample: Sample, *, confidence: float = 0.95, n_resamples: int = 5000, seed: int = 0) -> Interval:
    """Return the percentile bootstrap interval of a sample's ratio (Efron & Tibshirani 1993, chapter 13).

    Raises:
        ValueError: if the sample is empty.
    """
    _check(sample)
    draws = np.concatenate([_ratios(sample, rows) for rows in _resamples(len(sample.numerators), n_resamples, seed)])
    low, high = _bounds(draws, confidence)
    return Interval(sample.ratio, low, high, len(sample.numerators))


def paired_difference(
    a: Sample, b: Sample, *, confidence: float = 0.95, n_resamples: int = 5000, seed: int = 0
) -> Interval:
    """Return the interval of `ratio(a) - ratio(b)`, where row i of both is the same test row.

    Raises:
        ValueError: if the samples are empty or differ in length.
    """
    _check(a, b)
    n = len(a.numerators)
    draws = np.concatenate([_ratios(a, rows) - _ratios(b, rows) for rows in _resamples(n, n_resamples, seed)])
    low, high = _bounds(draws, confidence)
    return Interval(a.ratio - b.ratio, low, high, n)


def sign_flip_p_value(a: Sample, b: Sample, *, n_resamples: int = 5000, seed: int = 0) -> float:
    """Return the one-sided probability of a difference this large if it did not matter which model answered a row.

    Each row's two results are swapped at random (Fisher 1935). Where only a handful of rows differ at all, the
    bootstrap interval is too narrow (4 of 100 rows won and none lost already excludes 0); this test is exact there.

    Raises:
        ValueError: if the samples are empty or differ in length.
    """
    _check(a, b)
    observed, n = a.ratio - b.ratio, len(a.numerators)
    rng = np.random.default_rng(seed)
    n_as_large = 0
    for size in _block_sizes(n, n_resamples):
        swap = rng.random((size, n)) < 0.5
        swapped = [
            np.where(swap, y.numerators, x.numerators).sum(1) / np.where(swap, y.denominators, x.denominators).sum(1)
            for x, y in ((a, b), (b, a))
        ]
        n_as_large += int((swapped[0] - swapped[1] >= observed - 1e-12).sum())
    return (n_as_large + 1) / (n_resamples + 1)


def _check(*samples: Sample) -> None:
    lengths = {len(part) for sample in samples for part in sample}
    if len(lengths) != 1 or not lengths.pop():
        raise ValueError(f"samples of {[len(sample.numerators) for sample in samples]} rows cannot be resampled as one")


def _block_sizes(n: int, n_resamples: int) -> list[int]:
    size = max(1, _BLOCK // n)
    return [min(size, n_resamples - at) for at in range(0, n_resamples, size)]


def _resamples(n: int, n_resamples: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Yield the row numbers of all resamples, in blocks of shape `[size, n]`."""
    rng = np.random.default_rng(seed)
    for size in _block_sizes(n, n_resamples):
        yield rng.integers(n, size=(size, n))


def _ratios(sample: Sample, rows: NDArray[np.int64]) -> Floats:
    ratios: Floats = sample.numerators[rows].sum(1) / sample.denominators[rows].sum(1)
    return ratios


def _bounds(draws: Floats, confidence: float) -> tuple[float, float]:
    tail = (1 - confidence) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    return float(low), float(high)
