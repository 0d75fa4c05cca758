"""Rows out of JSONL, JSON and Parquet files and Hub data sets; what cannot be parsed is a row too, with its reason."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from steps.errors import InputError
from steps.extraction.reasons import ExtractDrop, UnusableError
from steps.extraction.sources import DatasetSource, PreferenceSource, files_of, name_of

#: Rows of a Parquet file held in memory at a time.
BATCH_ROWS = 1_000


class RawRow(NamedTuple):
    """One row as it was found: `value` is whatever JSON held, or the error that says why there is nothing."""

    path: str
    row: int | None  # zero-based; None speaks of the whole file
    line: int | None  # one-based, where the file has lines
    value: Any

    @property
    def place(self) -> str:
        """`path`, or `path:row`."""
        return self.path if self.row is None else f"{self.path}:{self.row}"


def rows_of_source(source: DatasetSource | PreferenceSource) -> Iterator[RawRow]:
    """Yield the rows of a source, at most `source.limit`.

    Raises:
        InputError: if a Hub data set cannot be loaded.
    """
    rows = _hub_rows(source) if source.hub_id is not None else _local_rows(source)
    return islice(rows, source.limit)


def _local_rows(source: DatasetSource | PreferenceSource) -> Iterator[RawRow]:
    for file in files_of(source):
        path = name_of(source, file)
        try:
            if file.suffix.lower() == ".parquet":
                yield from _parquet_rows(file, path)
            elif file.suffix.lower() == ".json":
                yield from _json_rows(file, path)
            else:
                yield from _json_lines(file, path)
        except OSError as error:
            yield RawRow(path, None, None, UnusableError(ExtractDrop.UNREADABLE_FILE, error.strerror or str(error)))


def _json_rows(file: Path, path: str) -> Iterator[RawRow]:
    """Yield the elements of an array, one object, or the lines of JSONL under a `.json` name."""
    content = file.read_bytes()
    value = parse_json(content)
    first_line = content.split(b"\n", 1)[0]
    if isinstance(value, UnusableError) and isinstance(parse_json(first_line), dict):
        yield from _json_lines(file, path)
    elif isinstance(value, list):
        yield from (RawRow(path, row, None, element) for row, element in enumerate(value))
    else:
        yield RawRow(path, None if isinstance(value, UnusableError) else 0, None, value)


def _json_lines(file: Path, path: str) -> Iterator[RawRow]:
    row = 0
    with file.open("rb") as stream:
        for line, content in enumerate(stream, start=1):
            if content.strip():
                yield RawRow(path, row, line, parse_json(content))
                row += 1
    if row == 0:
        yield RawRow(path, None, None, UnusableError(ExtractDrop.EMPTY_FILE, "no rows"))


def _parquet_rows(file: Path, path: str) -> Iterator[RawRow]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    row = 0
    try:
        for batch in pq.ParquetFile(file).iter_batches(batch_size=BATCH_ROWS):
            for value in batch.to_pylist():
                yield RawRow(path, row, None, value)
                row += 1
    except pa.ArrowException as error:
        yield RawRow(path, None, None, UnusableError(ExtractDrop.BROKEN_PARQUET, f"behind row {row}: {error}"[:200]))


def _hub_rows(source: DatasetSource | PreferenceSource) -> Iterator[RawRow]:
    from datasets import load_dataset

    try:
        dataset = load_dataset(source.hub_id, source.config_name, split=source.split, revision=source.revision)
    except Exception as error:  # the hub's client fails in many ways; all mean that this source cannot be read
        raise InputError(
            f"source {source.name}: the data set {source.hub_id} (split {source.split}, revision "
            f"{source.revision or 'newest'}) cannot be loaded: {type(error).__name__}: {str(error)[:300]}. "
            "Check the names, sign in with `hf auth login`, or download it and give its path"
        ) from error
    path = f"{source.hub_id}/{source.split}"
    yield from (RawRow(path, row, None, value) for row, value in enumerate(dataset))


def parse_json(content: bytes) -> Any:
    r"""Parse strict JSON in UTF-8; return an `UnusableError` instead of raising one.

    >>> parse_json(b'{"a": 1}')
    {'a': 1}
    >>> parse_json(b'[NaN]')
    UnusableError('invalid_json: NaN is not JSON')
    """
    try:
        return json.loads(content.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except UnusableError as error:
        return error
    except UnicodeDecodeError as error:
        return UnusableError(ExtractDrop.UNKNOWN_ENCODING, f"not UTF-8: {error.reason} at byte {error.start}")
    except RecursionError:
        return UnusableError(ExtractDrop.TOO_DEEP_JSON, "nested deeper than Python's recursion limit")
    except ValueError as error:
        return UnusableError(ExtractDrop.INVALID_JSON, str(error)[:200])


def _refuse_constant(name: str) -> None:
    raise UnusableError(ExtractDrop.INVALID_JSON, f"{name} is not JSON")
