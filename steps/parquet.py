"""Tables as Parquet, written and read one row group at a time, so that neither needs the whole table in memory."""

from __future__ import annotations

import hashlib
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from steps import tables

#: A row group is what saving and loading hold in memory: at most so many rows, and about so many bytes of values.
ROW_GROUP_ROWS, ROW_GROUP_BYTES = 100_000, 64 << 20


def write_parquet(table: pa.Table, file: BinaryIO | None = None) -> str:
    """Write the table one row group at a time, and return the SHA-256 of the file, which no chunk layout changes.

    Args:
        table: Rows.
        file: Open for writing; None only computes the hash.
    """
    sink = _HashingSink(file)
    rows = _row_group_rows(table)
    schema = pa.schema([field.with_type(_as_parquet(field.type)) for field in table.schema], table.schema.metadata)
    with pq.ParquetWriter(pa.PythonFile(sink, mode="w"), schema, compression="zstd") as writer:
        for group in tables.batches_of(table, rows):
            writer.write_table(group, row_group_size=rows)
    return sink.digest.hexdigest()


def read_parquet(file: Any, *, memory_map: bool) -> pa.Table:
    """Read a small table into memory; stream a large one into a memory-mapped file, a row group at a time."""
    parquet = pq.ParquetFile(file, memory_map=memory_map)
    groups = range(parquet.metadata.num_row_groups)
    if sum(parquet.metadata.row_group(group).total_byte_size for group in groups) <= tables.SPILL_BYTES:
        return parquet.read()
    return tables.spilled((parquet.read_row_group(group) for group in groups), parquet.schema_arrow)


def _as_parquet(kind: pa.DataType) -> pa.DataType:
    """Name the items of lists as Parquet does: a table that was loaded must have the hash of the one that was saved."""
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_name("element").with_type(_as_parquet(kind.value_type)))
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_as_parquet(field.type)) for field in kind])
    return kind


def _row_group_rows(table: pa.Table) -> int:
    """Return how many rows a group has: as the values ask for, never as they happen to lie in chunks."""
    mean_bytes = tables.value_bytes(table) / max(table.num_rows, 1)
    return max(1, min(ROW_GROUP_ROWS, int(ROW_GROUP_BYTES / max(mean_bytes, 1))))


class _HashingSink:
    """A binary file that hashes what is written to it, so that saving and hashing are one pass."""

    def __init__(self, file: BinaryIO | None) -> None:
        self.file, self.digest, self.closed = file, hashlib.sha256(), False

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        if self.file is not None:
            self.file.write(data)
        return len(data)

    def flush(self) -> None:
        if self.file is not None:
            self.file.flush()

    def close(self) -> None:
        self.closed = True
