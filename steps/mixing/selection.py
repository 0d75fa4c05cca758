"""Which rows of a part fill its quota, and how often each is read."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


def counts_for(sizes: Ints, quota: int) -> Ints:
    """Return how often each row is read so that the sizes sum to the quota, or as near as rows allow.

    All rows are read as often as the quota holds all of them; the first ones once more. With rows of different sizes
    (tokens) the last row of the quota is chosen among all that are left, which leaves a small part of one row.

    Args:
        sizes: Units of each row, best rank first.
        quota: Units to fill, repeats included.

    >>> counts_for(np.array([1, 1, 1]), 4).tolist()
    [2, 1, 1]
    >>> counts_for(np.array([50, 30, 20, 9]), 60).tolist()
    [1, 0, 0, 1]
    """
    whole = int(sizes.sum())
    if not whole or quota <= 0:
        return np.zeros(len(sizes), np.int64)
    passes, rest = divmod(quota, whole)
    counts = np.full(len(sizes), passes, np.int64)
    ends = np.cumsum(sizes)
    first = int(np.searchsorted(ends, rest, side="right"))
    counts[:first] += 1
    rest -= int(ends[first - 1]) if first else 0
    left = np.arange(first, len(sizes))
    if rest > 0 and len(left):
        nearest = left[np.argmin(np.abs(sizes[left] - rest))]
        if abs(int(sizes[nearest]) - rest) < rest:
            counts[nearest] += 1
    return counts
