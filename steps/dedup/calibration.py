"""How alike the rows of a corpus are: what a threshold is chosen by, since each model has its own scale."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from steps.dedup.greedy import BORDER, Pair
from steps.dedup.nearest import Floats, Positions, Space

#: Rows whose neighbours are looked at. A share of 10 % is then known to within 2.7 % (95 %, normal approximation).
SAMPLE_ROWS = 500
#: Rows of a block of all similarities: 500 by 4,096 in single precision are 8 MB.
BLOCK_ROWS = 4096
#: Pairs of a sampled row that count for the recall, so that a corpus of rows that are all alike stays small.
MAX_NEIGHBOURS = 200
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
#: Thresholds whose effect is shown.
LEVELS = (0.7, 0.75, 0.8, 0.85, 0.9, 0.92, 0.94, 0.95, 0.96, 0.97, 0.98, 0.99)


class Neighbours(NamedTuple):
    """The neighbours of a seeded sample of rows, among all rows.

    Attributes:
        rows: Shape (sampled,): positions.
        nearest: Shape (sampled,): similarity of the nearest other row.
        pairs: Sampled row and another row that are at least as similar as the threshold, shape (pairs, 2); of each
            sampled row the first 200.
        below: For each sampled row the nearest pair below the threshold, where one is within `BORDER`.
    """

    rows: Positions
    nearest: Floats
    pairs: Positions
    below: list[Pair]


def neighbours(space: Space, least: float, seed: int) -> Neighbours:
    """Compare a sample of rows with all rows.

    Args:
        space: The vectors.
        least: The threshold.
        seed: Seed of the sample.
    """
    random = np.random.default_rng(seed)
    rows = np.sort(random.choice(space.n, min(space.n, SAMPLE_ROWS), replace=False)).astype(np.int64)
    sampled = space.scaled(rows)
    nearest = np.full(len(rows), -np.inf)
    under, under_other = np.full(len(rows), -np.inf), np.full(len(rows), -1, np.int64)
    counts = np.zeros(len(rows), np.int64)
    pairs = []
    for start in range(0, space.n, BLOCK_ROWS):
        end = min(space.n, start + BLOCK_ROWS)
        block = sampled @ space.scaled(slice(start, end)).T + space.offset
        block = block - space.half[rows, None] - space.half[None, start:end]
        inside = np.flatnonzero((rows >= start) & (rows < end))
        block[inside, rows[inside] - start] = -np.inf
        nearest = np.maximum(nearest, block.max(axis=1))
        i, j = np.nonzero(block >= least)
        block[i, j] = -np.inf
        turn = np.arange(len(i)) - np.searchsorted(i, i) + counts[i]
        counts += np.bincount(i, minlength=len(rows))
        few = turn < MAX_NEIGHBOURS
        pairs.append(np.stack([rows[i[few]], j[few] + start], axis=1))
        closest = block.argmax(axis=1)
        value = block[np.arange(len(rows)), closest]
        better = value > under
        under[better], under_other[better] = value[better], closest[better] + start
    near = [
        Pair(float(under[i]), max(int(rows[i]), int(under_other[i])), min(int(rows[i]), int(under_other[i])))
        for i in np.flatnonzero(under >= least - BORDER)
    ]
    return Neighbours(rows, nearest, np.concatenate(pairs), sorted(set(near), reverse=True))


def recall_of(found: Neighbours, labels: npt.NDArray[np.int64]) -> float | None:
    """Return the share of the sample's pairs that carry the same label; None when there is no pair.

    Args:
        found: The sample.
        labels: Cell or cluster of each row; rows of -1 share nothing.
    """
    if not len(found.pairs):
        return None
    left, right = labels[found.pairs[:, 0]], labels[found.pairs[:, 1]]
    return float(np.mean((left == right) & (left >= 0)))


def calibration_of(found: Neighbours) -> dict[str, Any]:
    """Return the distribution of the similarity of the nearest row.

    Returns:
        `n_sampled`, `quantiles` of the similarity of a row's nearest other row, and `share_above`: for some thresholds
        the share of rows with another row at or above it, which is about twice what that threshold would drop.
    """
    if len(found.rows) < 2:
        return {"n_sampled": len(found.rows), "quantiles": {}, "share_above": {}}
    return {
        "n_sampled": len(found.rows),
        "quantiles": {f"{q:g}": round(float(np.quantile(found.nearest, q)), 4) for q in QUANTILES},
        "share_above": {f"{level:g}": round(float(np.mean(found.nearest >= level)), 4) for level in LEVELS},
    }
