"""Cells: rows are compared within k-means cells only, which is quick and loses the pairs that a border divides.

SemDeDup: Abbas, Tirumala, Simig, Ganguli and Morcos 2023, "SemDeDup: Data-efficient learning at web-scale through
semantic deduplication". The exact join is the default; cells pay beyond some millions of rows.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from steps.dedup.nearest import Positions, Space
from steps.settings import Settings

#: Rows a cell that the centres are computed from; faiss takes as many for its k-means.
TRAINING_ROWS = 256
#: Rows whose cells are computed at a time.
BLOCK_ROWS = 8192


class CellsJoin(Settings):
    """Compare rows within k-means cells."""

    kind: Literal["cells"] = "cells"

    rows_per_cell: int = Field(1000, ge=2)
    """Mean number of rows in a cell. SemDeDup made 50,000 cells of LAION-440M, 8,800 rows each; smaller
    cells are quicker and lose more pairs."""

    seed: int = Field(1, ge=0)
    """Seed of the first centres."""


class Cells:
    """The cell of each row.

    Attributes:
        labels: Shape (rows,): number of the cell.
        nearness: Shape (rows,), float32: similarity of each row to its cell's centre.
    """

    def __init__(self, space: Space, settings: CellsJoin) -> None:
        from sklearn.cluster import KMeans

        n_cells = max(1, round(space.n / settings.rows_per_cell))
        random = np.random.default_rng(settings.seed)
        size = min(space.n, n_cells * TRAINING_ROWS)
        sample = np.sort(random.choice(space.n, size, replace=False))
        means = KMeans(n_cells, n_init=1, max_iter=20, random_state=settings.seed).fit(space.scaled(sample))
        centres = means.cluster_centers_.astype(np.float32)
        self.labels = np.zeros(space.n, np.int64)
        self.nearness = np.zeros(space.n, np.float32)
        half = np.einsum("ij,ij->i", centres, centres) / 2
        for start in range(0, space.n, BLOCK_ROWS):
            block = slice(start, start + BLOCK_ROWS)
            rows = space.scaled(block)
            # Half the squared distance, less a term that is the same for all centres.
            near = rows @ centres.T - half
            self.labels[block] = near.argmax(axis=1)
            self.nearness[block] = near.max(axis=1) - np.einsum("ij,ij->i", rows, rows) / 2

    def members(self) -> list[Positions]:
        """Return the positions of each cell's rows, ascending, cells without rows left out."""
        return groups_of(self.labels)


def groups_of(labels: Positions) -> list[Positions]:
    """Return the positions of each label's rows, ascending; rows of label -1 belong to none.

    >>> [group.tolist() for group in groups_of(np.array([1, 0, -1, 1]))]
    [[1], [0, 3]]
    """
    order = np.argsort(labels, kind="stable")
    order = order[labels[order] >= 0]
    starts = np.flatnonzero(np.diff(labels[order], prepend=-1))
    return np.split(order, starts[1:]) if len(order) else []
