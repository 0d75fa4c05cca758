"""Greedy selection among vectors: each row is compared with the kept rows before it, tile by tile.

The memory is that of the vectors and one tile, however many pairs are alike: of a row's neighbours only the nearest
counts, and a row that is dropped is never compared with again.
"""

from __future__ import annotations

import heapq
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from steps.dedup.marks import Marks
from steps.dedup.nearest import TILE_ROWS, Positions, Space
from steps.dedup.selection import N_SHOWN
from steps.progress import track

#: Pairs this far below the threshold are shown as borderline.
BORDER = 0.05


class Pair(NamedTuple):
    """Two rows by position, `other` the better one."""

    similarity: float
    row: int
    other: int


class Chosen(NamedTuple):
    """What a selection found, by position.

    Attributes:
        duplicates: Each dropped row with the nearest kept row before it.
        below: The pairs of kept rows nearest below the threshold, at most one a row.
        vetoed: The most similar pair that a guard kept apart, at most one a row.
        n_vetoed: Number of pairs of a row and a kept row that a guard kept apart.
    """

    duplicates: list[Pair]
    below: list[Pair]
    vetoed: list[Pair]
    n_vetoed: int


class _Shown:
    """The best pairs of a list, at most `N_SHOWN`; equal similarities fall by position."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, int]] = []

    def add(self, row: int, other: int, similarity: float) -> None:
        entry = (similarity, -row, -other)
        if len(self._heap) < N_SHOWN:
            heapq.heappush(self._heap, entry)
        else:
            heapq.heappushpop(self._heap, entry)

    @property
    def floor(self) -> float:
        """Least similarity that can still enter; none when the list is not full."""
        return self._heap[0][0] if len(self._heap) == N_SHOWN else -np.inf

    def pairs(self) -> list[Pair]:
        return [Pair(similarity, -row, -other) for similarity, row, other in sorted(self._heap, reverse=True)]


def select(space: Space, order: Positions, marks: Marks, least: float) -> Chosen:
    """Keep a row unless a kept row before it is at least `least` similar and no guard keeps the two apart.

    Args:
        space: The vectors.
        order: Positions of the rows to select among, the first is kept in any case.
        marks: The guard's features of every row of the space.
        least: The threshold.
    """
    kept = np.zeros(len(order), np.int64)  # positions of kept rows, a prefix of it is filled
    n_kept = n_vetoed = 0
    duplicates: list[Pair] = []
    below, vetoed = _Shown(), _Shown()
    for start in track(range(0, len(order), TILE_ROWS), "semantic duplicates"):
        rows = order[start : start + TILE_ROWS]
        state = _State.of(len(rows))
        border = max(least - BORDER, below.floor)
        for other in range(0, n_kept, TILE_ROWS):
            others = kept[other : min(n_kept, other + TILE_ROWS)]
            n_vetoed += _update(space, rows, others, np.ones(len(others), np.bool_), state, marks, (least, border))
        alive = np.ones(len(rows), np.bool_)
        n_vetoed += _update(space, rows, rows, alive, state, marks, (least, border))
        fresh = rows[alive]
        kept[n_kept : n_kept + len(fresh)] = fresh
        n_kept += len(fresh)
        dropped = ~alive
        duplicates += map(
            Pair, state.best[dropped].tolist(), rows[dropped].tolist(), state.best_other[dropped].tolist()
        )
        for i in np.flatnonzero(alive & (state.below_other >= 0)):
            below.add(int(rows[i]), int(state.below_other[i]), float(state.below[i]))
        for i in np.flatnonzero(state.veto_other >= 0):
            vetoed.add(int(rows[i]), int(state.veto_other[i]), float(state.veto[i]))
    return Chosen(duplicates, below.pairs(), vetoed.pairs(), n_vetoed)


class _State(NamedTuple):
    """The nearest kept rows of each row of a tile: duplicate, vetoed, and just below the threshold."""

    best: npt.NDArray[np.float64]
    best_other: Positions
    veto: npt.NDArray[np.float64]
    veto_other: Positions
    below: npt.NDArray[np.float64]
    below_other: Positions

    @classmethod
    def of(cls, n: int) -> _State:
        """Return the state of rows that were compared with nothing."""

        def nothing() -> tuple[npt.NDArray[np.float64], Positions]:
            return np.full(n, -np.inf), np.full(n, -1, np.int64)

        return cls(*nothing(), *nothing(), *nothing())


def _update(
    space: Space,
    rows: Positions,
    others: Positions,
    alive: npt.NDArray[np.bool_],
    state: _State,
    marks: Marks,
    levels: tuple[float, float],
) -> int:
    """Compare rows with better rows; the rows with themselves decide which of them are alive."""
    from steps.kernels.projection import select_tile

    inside = others is rows
    upper = space.bounds(rows, others)
    least, border = levels
    pair = rows, others, alive, inside
    n_vetoed = select_tile(upper, space.certain, *pair, space.exact, marks, least, space.slack, border, state)
    return int(n_vetoed)
