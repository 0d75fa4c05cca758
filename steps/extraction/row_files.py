"""Rows out of files, buckets, the Hub and queries; what cannot be parsed is a row too, with its reason."""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

import pyarrow as pa

from steps.extraction.column_rows import arrow_blocks, parquet_blocks
from steps.extraction.csv_rows import csv_blocks
from steps.extraction.json_rows import json_blocks, json_line_blocks
from steps.extraction.reasons import ExtractDrop, UnusableError
from steps.extraction.row_blocks import Block, RawRow, failed, limited
from steps.extraction.row_sources import RowFileSource, row_files
from steps.extraction.sql import SqlSource

RowSource = RowFileSource | SqlSource
_COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}


def rows_of_source(source: RowSource) -> Iterator[RawRow]:
    """Yield the rows of a source one by one, at most `source.limit`.

    Raises:
        InputError: if a Hub data set cannot be loaded, or a query fails.
    """
    for block in blocks_of_source(source):
        yield from block.rows()


def blocks_of_source(source: RowSource) -> Iterator[Block]:
    """Yield the rows of a source in blocks, at most `source.limit` rows.

    Raises:
        InputError: if a Hub data set cannot be loaded, or a query fails.
    """
    return limited(_blocks(source), source.limit)


def _blocks(source: RowSource) -> Iterator[Block]:
    if isinstance(source, SqlSource):
        from steps.extraction.sql import sql_blocks

        yield from sql_blocks(source)
    elif source.hub_id is not None:
        from steps.extraction.hub import hub_blocks

        yield from hub_blocks(source)
    else:
        yield from _file_blocks(source)


def _file_blocks(source: RowFileSource) -> Iterator[Block]:
    """Yield the blocks of each file; a file from a bucket lies in a scratch folder for as long as it is read."""
    for found in row_files(source):
        with tempfile.TemporaryDirectory(prefix="tunesmith-rows-") as scratch:
            try:
                file = found.fetch(Path(scratch))
                yield from _blocks_of_file(file, found.path, source)
            except UnusableError as error:
                yield failed(found.path, error.reason, error.detail)
            except OSError as error:
                yield failed(found.path, ExtractDrop.UNREADABLE_FILE, error.strerror or str(error))


def _blocks_of_file(file: Path, path: str, source: RowFileSource) -> Iterator[Block]:
    name = PurePosixPath(path)
    compression = _COMPRESSIONS.get(name.suffix.lower())
    suffix = PurePosixPath(name.stem).suffix.lower() if compression else name.suffix.lower()
    if suffix == ".parquet":
        yield from parquet_blocks(file, path)
        return
    if suffix in {".arrow", ".feather"}:
        yield from arrow_blocks(file, path)
        return
    max_row_bytes = int(source.max_row_mb * 1e6)
    with _Text(file, compression, int(source.max_file_mb * 1e6)) as text:
        stream = cast(BinaryIO, text)
        if suffix == ".json":
            yield from json_blocks(stream, path, max_row_bytes, source.rows_at)
        elif suffix in {".csv", ".tsv"}:
            delimiter = source.delimiter or ("\t" if suffix == ".tsv" else None)
            yield from csv_blocks(stream, path, max_row_bytes, delimiter, source.encoding)
        else:
            yield from json_line_blocks(stream, path, max_row_bytes)


class _Text:
    """A file's bytes after decompression, up to a bound: some kilobytes may unpack to more than any disk holds."""

    def __init__(self, file: Path, compression: str | None, max_bytes: int) -> None:
        self._stream = pa.input_stream(str(file), compression=compression, buffer_size=1 << 20)
        self._left, self._max_bytes = max_bytes, max_bytes

    def __enter__(self) -> _Text:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def read(self, size: int) -> bytes:
        """Read up to `size` bytes.

        Raises:
            UnusableError: `too_large_file` behind the bound, `broken_archive` where the compressed data are damaged.
        """
        try:
            found = bytes(self._stream.read(size))
        except (OSError, pa.ArrowException, zlib.error) as error:
            raise UnusableError(ExtractDrop.BROKEN_ARCHIVE, str(error)[:200]) from None
        self._left -= len(found)
        if self._left < 0:
            raise UnusableError(ExtractDrop.TOO_LARGE_FILE, f"more than max_file_mb={self._max_bytes / 1e6:g}")
        return found
