"""Split groups: rows that must stand on the same side of every split."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def merged_groups(group_ids: pa.ChunkedArray | pa.Array, left: np.ndarray, right: np.ndarray) -> pa.Array:
    """Return the group of each row after the groups of each pair of rows are merged.

    All rows of both groups follow, not only the pair: a document whose copy was dropped has other rows, and they
    would leak if they stayed behind. The merged group takes the smallest id, so that no order matters.

    Args:
        group_ids: Group of each row.
        left: Positions of rows, shape (pairs,).
        right: Positions of the rows that they duplicate.

    >>> groups = pa.array(["doc-b", "doc-a", "doc-b", "doc-c"])
    >>> merged_groups(groups, np.array([0]), np.array([1])).to_pylist()
    ['doc-a', 'doc-a', 'doc-a', 'doc-c']
    """
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
