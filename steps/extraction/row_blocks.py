"""Rows as they stand in their files, in blocks: consecutive rows that can be had one by one, or as columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from steps.extraction.reasons import ExtractDrop, UnusableError

#: Rows of a columnar file held in memory at a time.
BATCH_ROWS = 10_000


class RawRow(NamedTuple):
    """One row as it was found: `value` is whatever the file held, or the error that says why there is nothing."""

    path: str
    row: int | None  # zero-based; None speaks of the whole file
    line: int | None  # one-based, where the file has lines
    value: Any

    @property
    def place(self) -> str:
        """`path`, or `path:row`."""
        return self.path if self.row is None else f"{self.path}:{self.row}"


class Columns(NamedTuple):
    """Text columns of a block's rows, and the places of those rows for which they may not be exact."""

    texts: pa.Table
    doubtful: Sequence[int] = ()


class Block(NamedTuple):
    """Consecutive rows of one file.

    `raw` yields the rows at the given places of the block one by one, exactly. `columns` takes the names of text
    columns and returns them for all rows of the block, or None where they cannot be had at once; `parts` are smaller
    blocks then, of which only some may be to blame.
    """

    path: str
    first_row: int
    n_rows: int
    raw: Callable[[Sequence[int]], Iterator[RawRow]]
    columns: Callable[[Sequence[str]], Columns | None] = lambda names: None
    parts: Callable[[], list[Block]] = list

    def rows(self) -> Iterator[RawRow]:
        """Yield all rows of the block."""
        return self.raw(range(self.n_rows))


def failed(path: str, reason: ExtractDrop, detail: str) -> Block:
    """Return a block that is one row, which says why a file (or what is left of it) cannot be read."""
    return of_rows([RawRow(path, None, None, UnusableError(reason, detail))])


def of_rows(rows: Sequence[RawRow]) -> Block:
    """Return a block of rows that are there already."""

    def columns(names: Sequence[str]) -> Columns | None:
        values = [row.value for row in rows]
        if not all(isinstance(value, dict) for value in values):
            return None
        texts = {name: [value.get(name) for value in values] for name in names}
        if not all(text is None or isinstance(text, str) for column in texts.values() for text in column):
            return None
        try:
            return Columns(pa.table({name: pa.array(column, pa.large_string()) for name, column in texts.items()}))
        except UnicodeEncodeError:  # half of a UTF-16 pair
            return None

    return Block(rows[0].path, rows[0].row or 0, len(rows), lambda places: (rows[place] for place in places), columns)


def of_batch(path: str, first_row: int, batch: pa.RecordBatch | pa.Table) -> Block:
    """Return the block of a batch of columns."""

    def raw(places: Sequence[int]) -> Iterator[RawRow]:
        chosen = batch if len(places) == batch.num_rows else batch.take(pa.array(places, pa.int64()))
        for place, value in zip(places, _values(chosen), strict=True):
            yield RawRow(path, first_row + place, None, value)

    def columns(names: Sequence[str]) -> Columns | None:
        found = {name: batch.column(name) for name in names if name in batch.schema.names}
        if not all(_is_text(column.type) for column in found.values()):
            return None
        texts = {name: column.cast(pa.large_string()) for name, column in found.items()}
        return Columns(pa.table(texts)) if texts else None

    return Block(path, first_row, batch.num_rows, raw, columns)


def limited(blocks: Iterable[Block], limit: int | None) -> Iterator[Block]:
    """Yield the blocks up to `limit` rows; the last one is cut."""
    left = limit
    for block in blocks:
        if left is not None and block.n_rows >= left:
            yield block if block.n_rows == left else block._replace(n_rows=left, parts=list)
            return
        left = None if left is None else left - block.n_rows
        yield block


def _is_text(found: pa.DataType) -> bool:
    return any(is_kind(found) for is_kind in (pa.types.is_string, pa.types.is_large_string, pa.types.is_null))


def _values(batch: pa.RecordBatch | pa.Table) -> list[Any]:
    """Return the rows as dicts; a row with text that is no UTF-8 is an error of its own."""
    try:
        found: list[Any] = batch.to_pylist()
    except UnicodeDecodeError as error:
        if batch.num_rows == 1:
            return [UnusableError(ExtractDrop.UNKNOWN_ENCODING, f"not UTF-8: {error.reason} at byte {error.start}")]
        half = batch.num_rows // 2
        return [*_values(batch.slice(0, half)), *_values(batch.slice(half))]
    return found
