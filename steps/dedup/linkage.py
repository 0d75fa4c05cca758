"""Clusterings of rows: DBSCAN and agglomerative, on the exact graph of the pairs at or above the threshold.

Likeness is passed on along chains here, unlike in the greedy selection: a row can fall to a survivor that it is less
similar to than the threshold. The ledger gives the true similarity.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from steps.dedup.cells import groups_of
from steps.dedup.nearest import Pairs, Positions, Space
from steps.errors import ConfigError
from steps.settings import Settings

#: Rows of one connected part that are clustered; their distances take 8 bytes a pair, 200 MB.
MAX_PART_ROWS = 5000
#: Distance of two rows that a guard keeps apart: as far as opposite vectors.
FAR = 2.0


class DbscanJoin(Settings):
    """Cluster by density: Ester, Kriegel, Sander and Xu 1996."""

    kind: Literal["dbscan"] = "dbscan"

    min_samples: int = Field(2, ge=2)
    """Rows, itself included, that a row needs within the threshold to pass likeness on. With 2, clusters are the
    connected parts of the graph."""


class HierarchicalJoin(Settings):
    """Merge clusters, the nearest first, while they are at least as similar as the threshold."""

    kind: Literal["hierarchical"] = "hierarchical"

    linkage: Literal["single", "average", "complete"] = "average"
    """What is the similarity of two clusters: that of their nearest rows, the mean, or that of their farthest rows.
    With `complete`, all rows of a cluster are at least as similar as the threshold."""


def dbscan_labels(n: int, pairs: Pairs, settings: DbscanJoin) -> Positions:
    """Return the cluster of each of `n` rows, -1 for a row that belongs to none."""
    from scipy.sparse import coo_array
    from sklearn.cluster import DBSCAN

    # DBSCAN only asks which rows are within reach; a stored distance of 0 counts as reached.
    rows, columns = np.concatenate([pairs.left, pairs.right]), np.concatenate([pairs.right, pairs.left])
    if not len(rows):
        return np.full(n, -1, np.int64)
    graph = coo_array((np.full(len(rows), 0.5), (rows, columns)), shape=(n, n)).tocsr()
    labels: Positions = DBSCAN(eps=1.0, min_samples=settings.min_samples, metric="precomputed").fit(graph).labels_
    return labels.astype(np.int64)


def hierarchical_labels(space: Space, pairs: Pairs, least: float, settings: HierarchicalJoin) -> Positions:
    """Return the cluster of each row, -1 for a row that belongs to none.

    Two clusters that merge have at least one pair at or above the threshold, whichever the linkage. So each connected
    part of the graph can be clustered by itself, with the result that clustering all rows would give.

    Raises:
        ConfigError: if a part has more than 5,000 rows.
    """
    from scipy.cluster.hierarchy import fcluster
    from scipy.cluster.hierarchy import linkage as agglomerate
    from scipy.spatial.distance import squareform

    labels = np.full(space.n, -1, np.int64)
    n_labels = 0
    for members, edges in _parts(space.n, pairs):
        if settings.linkage == "single":
            labels[members] = n_labels
            n_labels += 1
            continue
        if len(members) > MAX_PART_ROWS:
            raise ConfigError(
                f"curation.dedup.semantic.join of kind hierarchical can cluster {MAX_PART_ROWS:,} rows that hang "
                f"together, and {len(members):,} do at threshold={least}; raise the threshold, set linkage to single, "
                "or use kind exact or cells"
            )
        distances = _distances(space, pairs, members, edges, least)
        tree = agglomerate(squareform(distances, checks=False), settings.linkage)
        found = fcluster(tree, 1 - least + 1e-9, criterion="distance")
        labels[members] = found - 1 + n_labels
        n_labels += int(found.max())
    return labels


def _parts(n: int, pairs: Pairs) -> list[tuple[Positions, Positions]]:
    """Return the rows of each connected part of two or more, and the numbers of its pairs."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(pairs.left), np.int8), (pairs.left, pairs.right)), shape=(n, n))
    _, part = connected_components(graph, directed=False)
    sizes = np.bincount(part, minlength=1)
    part = np.where(sizes[part] > 1, part, -1).astype(np.int64)
    return list(zip(groups_of(part), groups_of(part[pairs.left]), strict=True))


def _distances(
    space: Space, pairs: Pairs, members: Positions, edges: Positions, least: float
) -> npt.NDArray[np.float64]:
    """Return the distances (1 - similarity) of rows; pairs that a guard keeps apart are far."""
    scaled = space.vectors[members].astype(np.float64) * space.scale[members, None]
    half = space.half[members]
    distances: npt.NDArray[np.float64] = 1 - (space.offset + scaled @ scaled.T - half[:, None] - half[None, :])
    distances[distances <= 1 - least + 1e-7] = FAR
    left, right = np.searchsorted(members, pairs.left[edges]), np.searchsorted(members, pairs.right[edges])
    distances[left, right] = distances[right, left] = 1 - pairs.similarity[edges]
    np.fill_diagonal(distances, 0.0)
    return np.maximum(distances, 0.0)
