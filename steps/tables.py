"""Tables larger than memory: worked on batch by batch, and kept in a memory-mapped file.

A table of more than `SPILL_BYTES` is written to an uncompressed Arrow file in the temporary folder (`TMPDIR`) and
read through a memory map, so that the system may take its pages back at any time. The file has no name: the space on
disk is free again as soon as the last table that looks into it is gone, also after a crash.
Smaller tables stay in memory. Both hold the same rows.
"""

from __future__ import annotations

import mmap
import tempfile
import weakref
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

#: Size above which a table goes to disk: small against any machine's memory, large against the cost of a file.
SPILL_BYTES = 256 << 20
#: Rows of a batch: some 16 MB of text, so that memory stays level, and enough that the work per batch does not show.
BATCH_ROWS = 8_192
#: 2^64 divided by the golden ratio, made odd: multiplying by it spreads bits (Knuth, TAOCP volume 3, section 6.4).
_ODD = np.uint64(0x9E3779B97F4A7C15)


def batches_of(table: pa.Table, batch_rows: int = BATCH_ROWS) -> Iterator[pa.Table]:
    """Yield the table in slices of exactly `batch_rows` rows (the last may be shorter), whatever its chunks are.

    Each column of a slice is one chunk.
    """
    for start in range(0, table.num_rows, batch_rows):
        yield table.slice(start, batch_rows).combine_chunks()


class Spill:
    """A table that is being put together: in memory while it is small, in a memory-mapped file when it is not."""

    def __init__(self, schema: pa.Schema, limit_bytes: int | None = None) -> None:
        """Begin an empty table.

        Args:
            schema: Of the table.
            limit_bytes: Size above which it goes to disk; None means `SPILL_BYTES`.
        """
        self.schema = schema
        self.num_rows = 0
        self._limit = SPILL_BYTES if limit_bytes is None else limit_bytes
        self._size = 0
        self._pending: list[pa.RecordBatch] = []
        self._file: Any = None
        self._writer: Any = None

    def append(self, rows: pa.Table | pa.RecordBatch) -> None:
        """Add rows of the schema's columns. They are not copied before they go to disk."""
        for batch in rows.to_batches() if isinstance(rows, pa.Table) else (rows,):
            if batch.num_rows:
                # Results of functions may differ from the schema in nullability.
                self._pending.append(pa.RecordBatch.from_arrays(batch.columns, schema=self.schema))
                self._size += batch.nbytes
                self.num_rows += batch.num_rows
        if self._size > self._limit or self._file is not None:
            self._write()

    def table(self) -> pa.Table:
        """Return the table; nothing can be added any more. In memory, columns are one chunk where size allows it."""
        if self._file is None:
            return pa.Table.from_batches(self._pending, self.schema).combine_chunks()
        self._writer.close()
        self._file.flush()
        mapped = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        self._file.close()
        return pa.ipc.open_file(pa.py_buffer(mapped)).read_all()

    def _write(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="tunesmith-")  # noqa: SIM115  (closed when it is mapped, or here:)
            weakref.finalize(self, self._file.close)
            self._writer = pa.ipc.new_file(self._file, self.schema)
        for batch in self._pending:
            self._writer.write_batch(batch)
        self._pending.clear()


def spilled(
    batches: Iterable[pa.Table | pa.RecordBatch], schema: pa.Schema, limit_bytes: int | None = None
) -> pa.Table:
    """Put batches together to one table, on disk when it is large (see `Spill`).

    Args:
        batches: Rows of `schema`'s columns, in order.
        schema: Of the table.
        limit_bytes: Size above which it goes to disk; None means `SPILL_BYTES`.
    """
    spill = Spill(schema, limit_bytes)
    for rows in batches:
        spill.append(rows)
    return spill.table()


def filter_rows(table: pa.Table, chosen: pa.Array | pa.ChunkedArray) -> pa.Table:
    """Return the chosen rows. The table itself when that is all of them: nothing is copied then.

    Args:
        table: Rows.
        chosen: A boolean for each row, without nulls.
    """
    if pc.all(chosen).as_py() is not False:
        return table

    def chunks() -> Iterator[pa.Table]:
        for start in range(0, table.num_rows, BATCH_ROWS):
            yield table.slice(start, BATCH_ROWS).filter(chosen.slice(start, BATCH_ROWS))

    return spilled(chunks(), table.schema)


def take_rows(table: pa.Table, positions: pa.Array | npt.NDArray[np.int64]) -> pa.Table:
    """Return the rows at the given positions, in that order; reads only the chunks that hold them.

    Args:
        table: Rows.
        positions: Shape (taken,), integers from 0; may repeat, any order.
    """
    wanted = np.asarray(positions, np.int64)
    starts = np.cumsum([0, *(batch.num_rows for batch in table.to_batches())])
    chunks = table.to_batches()

    def slices() -> Iterator[pa.Table]:
        for start in range(0, len(wanted), BATCH_ROWS):
            yield _gathered(chunks, starts, wanted[start : start + BATCH_ROWS], table.schema)

    return spilled(slices(), table.schema)


def with_column(table: pa.Table, field: pa.Field, values: pa.Array | pa.ChunkedArray) -> pa.Table:
    """Return the table with a column of that name replaced in its place, or appended; other columns are not copied."""
    position = table.schema.get_field_index(field.name)
    return table.append_column(field, values) if position < 0 else table.set_column(position, field, values)


def all_distinct(ids: pa.ChunkedArray | pa.Array) -> bool:
    """Return whether no id occurs twice.

    Ids of one length (all of `steps.rows.content_id`) are compared by 64-bit keys first, in 8 bytes a row; equal ids
    have equal keys, so only if two keys are equal does the slower and larger table of all ids have to decide.
    """
    chunks = ids.chunks if isinstance(ids, pa.ChunkedArray) else [ids]
    keys = [_keys(chunk) for chunk in chunks if len(chunk)]
    found = [key for key in keys if key is not None]
    if found and len(found) == len(keys):
        ordered = np.concatenate(found)
        ordered.sort()
        if not (ordered[1:] == ordered[:-1]).any():
            return True
    return bool(pc.count_distinct(ids).as_py() == len(ids))


def value_bytes(table: pa.Table) -> int:
    """Return the size of the table's values, which neither chunks nor offsets nor null masks change."""
    return sum(_value_bytes(chunk) for column in table.columns for chunk in column.chunks)


def _keys(ids: pa.Array) -> npt.NDArray[np.uint64] | None:
    """Return a key for each id, equal for equal ids; None unless all are of one length that is a multiple of 8."""
    ids = ids.cast(pa.large_string())
    _, offsets, data = ids.buffers()
    bounds = np.frombuffer(offsets, np.int64)[ids.offset : ids.offset + len(ids) + 1]
    length = int(bounds[1] - bounds[0])
    if ids.null_count or not length or length % 8 or (np.diff(bounds) != length).any():
        return None
    words = np.frombuffer(data, np.uint8)[int(bounds[0]) : int(bounds[-1])].view("<u8").reshape(len(ids), -1)
    keys = np.zeros(len(ids), np.uint64)
    for column in range(words.shape[1]):
        keys = (keys ^ words[:, column]) * _ODD
        keys ^= keys >> np.uint64(29)
    return keys


def _value_bytes(array: pa.Array) -> int:
    kind = array.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind):
        return int(pc.sum(pc.binary_length(array)).as_py() or 0)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _value_bytes(array.flatten())
    if pa.types.is_map(kind):
        return _value_bytes(array.cast(pa.list_(pa.struct({"key": kind.key_type, "value": kind.item_type}))))
    if pa.types.is_struct(kind):
        return sum(_value_bytes(field) for field in array.flatten())
    return (
        int(array.nbytes)
        if pa.types.is_null(kind) or pa.types.is_dictionary(kind)
        else len(array) * kind.bit_width // 8
    )


def _gathered(
    chunks: list[pa.RecordBatch], starts: npt.NDArray[np.int64], wanted: npt.NDArray[np.int64], schema: pa.Schema
) -> pa.Table:
    """Take rows chunk by chunk, then put them into the wanted order: Arrow alone would join all chunks first."""
    order = np.argsort(wanted, kind="stable")
    ordered = wanted[order]
    owner = np.searchsorted(starts, ordered, side="right") - 1
    parts = [
        chunks[chunk].take(pa.array(ordered[owner == chunk] - starts[chunk])) for chunk in np.unique(owner).tolist()
    ]
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    return pa.Table.from_batches(parts, schema).combine_chunks().take(pa.array(back))
