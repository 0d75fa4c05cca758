"""The splits of an earlier version of the data set, looked up for the rows and groups of this one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from steps.rows import SPLITS

#: A row or group without an earlier split; every position in `SPLITS` is above it.
UNKNOWN = -1

Splits = npt.NDArray[np.int8]


def origins_of(rows: pa.Table) -> pa.ChunkedArray:
    """Return what each row came from: its document, or for an imported row the row itself."""
    return pc.coalesce(rows["document_id"], rows["id"])


def earlier_of_rows(ids: pa.ChunkedArray, previous: pa.Table) -> Splits:
    """Return each row's own earlier split as a position in `SPLITS`, or `UNKNOWN`."""
    return _looked_up(ids, previous["id"], _positions(previous))


def earlier_of_groups(rows: pa.Table, group_of_row: npt.NDArray[np.int64], n_groups: int, previous: pa.Table) -> Splits:
    """Return the split that each group keeps.

    A group is known by its rows, its documents and its own id. Where these had different splits, because new data
    links them, test goes before validation before training: what was tested on is never trained on.

    Args:
        rows: Columns `id`, `group_id` and `document_id`.
        group_of_row: Group of each row, 0 to `n_groups` - 1.
        n_groups: Number of groups.
        previous: The same columns, and `split`.
    """
    before = _positions(previous)
    known = np.full(n_groups, UNKNOWN, np.int8)
    keys = [
        (rows["id"], previous["id"]),
        (origins_of(rows), origins_of(previous)),
        (rows["group_id"], previous["group_id"]),
    ]
    for own, earlier in keys:
        np.maximum.at(known, group_of_row, _looked_up(own, earlier, before))
    return known


def _positions(previous: pa.Table) -> Splits:
    # SPLITS is ordered so that what must not be trained on comes last.
    return np.asarray(pc.index_in(previous["split"], value_set=pa.array(SPLITS)).combine_chunks(), np.int8)


def _looked_up(keys: pa.ChunkedArray, earlier: pa.ChunkedArray, splits: Splits) -> Splits:
    """Return for each key the highest split of the earlier rows that have it."""
    distinct = earlier.unique()
    highest = np.full(len(distinct) + 1, UNKNOWN, np.int8)  # the last entry is that of keys without an earlier row
    places = np.asarray(pc.index_in(earlier, value_set=distinct).combine_chunks(), np.int64)
    np.maximum.at(highest, places, splits)
    found = pc.fill_null(pc.index_in(keys, value_set=distinct), len(distinct))
    found = found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found
    return highest[np.asarray(found, np.int64)]
