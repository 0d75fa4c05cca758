"""Split groups: rows that must stand on the same side of every split."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def merge_groups(group_ids: Sequence[str], pairs: Iterable[tuple[int, int]]) -> list[str]:
    """Return the group of each row after the groups of each pair of rows are merged.

    All rows of both groups follow, not only the pair: a document whose copy was dropped has other rows, and they
    would leak if they stayed behind. The merged group takes the smallest id, so that no order matters.

    Args:
        group_ids: Group of each row.
        pairs: Positions of two rows that are duplicates.

    >>> merge_groups(["doc-b", "doc-a", "doc-b", "doc-c"], [(0, 1)])
    ['doc-a', 'doc-a', 'doc-a', 'doc-c']
    """
    listed = np.array(list(pairs), np.int64).reshape(-1, 2)
    merged: list[str] = merged_groups(pa.array(group_ids, pa.string()), listed[:, 0], listed[:, 1]).to_pylist()
    return merged


def merged_groups(group_ids: pa.ChunkedArray | pa.Array, left: np.ndarray, right: np.ndarray) -> pa.Array:
    """Return what `merge_groups` does, for a column and the positions of the pairs as arrays."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    column = group_ids.combine_chunks() if isinstance(group_ids, pa.ChunkedArray) else group_ids
    if isinstance(column, pa.ChunkedArray) or not len(column) or not len(left):
        return column
    coded = pc.dictionary_encode(column)
    names, codes = coded.dictionary, coded.indices.to_numpy()
    edges = coo_array((np.ones(len(left), np.uint8), (codes[left], codes[right])), shape=(len(names), len(names)))
    _, component = connected_components(edges, directed=False)
    by_name = np.asarray(pc.sort_indices(names))
    smallest = np.full(int(component.max()) + 1, -1, np.int64)
    smallest[component[by_name[::-1]]] = by_name[::-1]  # the last one written is the smallest
    return names.take(pa.array(smallest[component][codes]))
