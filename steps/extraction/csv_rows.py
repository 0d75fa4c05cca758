"""CSV and TSV: encoding and delimiter are found out, the header is checked, a row of another length is a row too."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from steps.extraction.json_rows import parse_json
from steps.extraction.reasons import ExtractDrop, UnusableError
from steps.extraction.row_blocks import Block, RawRow, failed, of_batch, of_rows
from steps.extraction.text import BYTE_ORDER_MARKS

#: Bytes of the beginning by which encoding and delimiter are told.
SAMPLE_BYTES = 1 << 18
#: Candidates in the order in which they win a draw.
DELIMITERS = (",", "\t", ";", "|")
#: Columns whose cells may hold JSON: conversations do not fit a cell otherwise.
NESTED_COLUMNS = ("messages", "conversations", "conversation", "history", "chosen", "rejected", "prompt", "tools")


def csv_blocks(
    stream: BinaryIO, path: str, max_row_bytes: int, delimiter: str | None = None, encoding: str | None = None
) -> Iterator[Block]:
    """Yield the rows of a CSV file with a header; cells are texts, and empty ones are empty texts."""
    sample = stream.read(SAMPLE_BYTES)
    try:
        encoding = encoding or encoding_of(sample)
        delimiter = delimiter or delimiter_of(_whole_lines(sample, encoding))
        names = _header(sample, encoding, delimiter)
    except UnusableError as error:
        yield failed(path, error.reason, error.detail)
        return
    text = _Text(sample, stream, encoding)
    ragged: list[Any] = []
    row = 0
    try:
        for batch in _batches(text, names, delimiter, max_row_bytes, ragged):
            for block in _with_ragged(batch, ragged, path, row):
                yield block
                row += block.n_rows
        for block in _with_ragged(None, ragged, path, row):
            yield block
            row += block.n_rows
    except pa.ArrowInvalid as error:
        yield _failed_batch(path, row, str(error), max_row_bytes)
        return
    except UnicodeDecodeError as error:
        yield failed(path, ExtractDrop.UNKNOWN_ENCODING, f"behind row {row}: not {encoding}: {error.reason}")
        return
    if row == 0:
        yield failed(path, ExtractDrop.EMPTY_FILE, f"a header ({', '.join(names)[:100]}), but no rows")


def encoding_of(sample: bytes) -> str:
    """Return the encoding of the beginning of a file.

    Raises:
        UnusableError: `empty_file`, `binary_file` or `unknown_encoding`.
    """
    if not sample.strip():
        raise UnusableError(ExtractDrop.EMPTY_FILE, f"{len(sample)} bytes, no text")
    for mark, name in BYTE_ORDER_MARKS:
        if sample.startswith(mark):
            return name
    if b"\x00" in sample:
        raise UnusableError(ExtractDrop.BINARY_FILE, f"NUL byte at offset {sample.index(0)}")
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)  # the last character of a sample may be cut
    except UnicodeDecodeError:
        from charset_normalizer import from_bytes

        best = from_bytes(sample).best()
        if best is None:
            said = "neither UTF-8 nor any encoding that charset-normalizer knows; set `encoding`"
            raise UnusableError(ExtractDrop.UNKNOWN_ENCODING, said) from None
        return str(best.encoding)
    return "utf-8"


def delimiter_of(sample: str) -> str:
    r"""Return the delimiter by which most rows have as many cells as the header, the more cells the better.

    >>> delimiter_of("q;a\n1,5;2\n"), delimiter_of("text\nHello, world\n")
    (';', ',')
    """

    def score(delimiter: str) -> tuple[float, int]:
        try:
            rows = [len(row) for row in csv.reader(io.StringIO(sample), delimiter=delimiter) if row]
        except csv.Error:
            return 0.0, 0
        n_cells = rows[0] if rows else 0
        return (sum(n == n_cells for n in rows) / len(rows) if n_cells > 1 else 0.0), n_cells

    return max(DELIMITERS, key=lambda delimiter: (score(delimiter), -DELIMITERS.index(delimiter)))


def _header(sample: bytes, encoding: str, delimiter: str) -> list[str]:
    """Return the names of the columns.

    Raises:
        UnusableError: `bad_header` unless each is there, once, and there is no line break in them.
    """
    text = _whole_lines(sample, encoding)
    try:
        names = next((row for row in csv.reader(io.StringIO(text), delimiter=delimiter) if row), [])
    except csv.Error as error:
        raise UnusableError(ExtractDrop.BAD_HEADER, str(error)) from None
    names = [name.strip() for name in names]
    twice = next((name for name in names if names.count(name) > 1), None)
    if not all(names):
        raise UnusableError(ExtractDrop.BAD_HEADER, f"column {names.index('') + 1} of the header has no name")
    if twice is not None:
        raise UnusableError(ExtractDrop.BAD_HEADER, f"column {twice[:40]!r} stands in the header twice")
    return names


def _whole_lines(sample: bytes, encoding: str) -> str:
    text = codecs.getincrementaldecoder(encoding)("replace").decode(sample)
    return text[: text.rfind("\n") + 1] if len(sample) == SAMPLE_BYTES and "\n" in text else text


def _batches(
    text: _Text, names: list[str], delimiter: str, max_row_bytes: int, ragged: list[Any]
) -> Iterator[pa.RecordBatch]:
    """Parse by Arrow, cells as bytes; rows of another length than the header go to `ragged`."""
    import pyarrow.csv

    def keep(row: Any) -> str:
        ragged.append(row)
        return "skip"

    reading = pyarrow.csv.ReadOptions(
        use_threads=False, block_size=max_row_bytes, column_names=names, skip_rows_after_names=1
    )
    parsing = pyarrow.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True, invalid_row_handler=keep)
    converting = pyarrow.csv.ConvertOptions(
        check_utf8=False, column_types=dict.fromkeys(names, pa.binary()), strings_can_be_null=False
    )
    with pyarrow.csv.open_csv(pa.PythonFile(text, mode="r"), reading, parsing, converting) as reader:
        waiting: pa.RecordBatch | None = None
        try:
            for batch in reader:
                if waiting is not None:
                    yield waiting
                waiting = batch
        except (pa.ArrowInvalid, UnicodeDecodeError):
            if waiting is not None:
                yield waiting
            raise
        if waiting is None:
            return
        n = waiting.num_rows
        if n and text.n_quotes % 2 and b"\n" in (waiting.column(waiting.num_columns - 1)[n - 1].as_py() or b""):
            # The last cell runs to the end of the file, over all rows behind the quote that opened it.
            yield waiting.slice(0, n - 1)
            raise pa.ArrowInvalid("a quote is never closed")
        yield waiting


def _with_ragged(batch: pa.RecordBatch | None, ragged: list[Any], path: str, first_row: int) -> Iterator[Block]:
    """Yield a batch's rows and the ragged ones among them in their order; without a batch, those that are left.

    Arrow may be a batch ahead, so that some wait for theirs. `number` counts rows that hold something, from 1, which
    is the header.
    """
    start, row = 0, first_row
    n_rows = batch.num_rows if batch is not None else 0
    while ragged and (batch is None or int(ragged[0].number) - 2 - row <= n_rows - start):
        found = ragged.pop(0)
        n_before = min(max(int(found.number) - 2 - row, 0), n_rows - start)
        if batch is not None and n_before:
            yield from _texts(batch.slice(start, n_before), path, row)
        start, row = start + n_before, row + n_before
        said = f"{found.actual_columns} cells, the header has {found.expected_columns}: {found.text[:80]!r}"
        yield of_rows([RawRow(path, row, None, UnusableError(ExtractDrop.RAGGED_ROW, said))])
        row += 1
    if batch is not None and start < n_rows:
        yield from _texts(batch.slice(start), path, row)


def _texts(batch: pa.RecordBatch, path: str, first_row: int) -> Iterator[Block]:
    """Yield the block of a batch of bytes: as text, and rows that hold other bytes one by one."""
    try:
        texts = pa.RecordBatch.from_arrays([column.cast(pa.string()) for column in batch.columns], batch.schema.names)
    except pa.ArrowInvalid:
        for place, values in enumerate(batch.to_pylist()):
            yield of_rows([RawRow(path, first_row + place, None, _decoded(values))])
        return
    block = of_batch(path, first_row, texts)
    nested = [name for name in NESTED_COLUMNS if name in texts.schema.names and _may_be_json(texts[name])]
    yield block._replace(raw=lambda places: map(_unnested, block.raw(places))) if nested else block


def _decoded(values: dict[str, bytes]) -> Any:
    try:
        return {name: value.decode("utf-8") for name, value in values.items()}
    except UnicodeDecodeError as error:
        return UnusableError(ExtractDrop.UNKNOWN_ENCODING, f"not UTF-8: {error.reason} at byte {error.start}")


def _may_be_json(column: pa.Array) -> bool:
    return bool(pc.any(pc.match_substring_regex(column, r"^\s*[\[{]")).as_py())


def _unnested(raw: RawRow) -> RawRow:
    """Parse the cells that hold JSON; one that only looks like it stays text."""
    if not isinstance(raw.value, dict):
        return raw
    value = dict(raw.value)
    for name in NESTED_COLUMNS:
        if str(value.get(name, "")).lstrip()[:1] in {"[", "{"}:
            parsed = parse_json(value[name].encode("utf-8", "surrogatepass"))
            value[name] = value[name] if isinstance(parsed, UnusableError) else parsed
    return raw._replace(value=value)


def _failed_batch(path: str, row: int, message: str, max_row_bytes: int) -> Block:
    if "straddling" in message or "block size" in message.lower():
        said = f"behind row {row}: a row is longer than max_row_mb={max_row_bytes / 1e6:g}, or a quote is never closed"
        return failed(path, ExtractDrop.TOO_LARGE_ROW, said)
    return failed(path, ExtractDrop.RAGGED_ROW, f"behind row {row}: {message}"[:200])


class _Text(io.RawIOBase):
    """A CSV file as UTF-8 from its header on; counts quotes, of which every one that opens has to be closed."""

    def __init__(self, head: bytes, rest: BinaryIO, encoding: str) -> None:
        self._head, self._rest = io.BytesIO(head), rest
        is_utf8 = encoding in {"utf-8", "utf-8-sig"}
        self._decoder = None if is_utf8 else codecs.getincrementaldecoder(encoding)()
        self._begun = False
        self.n_quotes = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while chunk := self._head.read(size) or self._rest.read(size):
            if found := self._without_start(self._decoder.decode(chunk).encode() if self._decoder else chunk):
                self.n_quotes += found.count(b'"')
                return found
        return self._decoder.decode(b"", final=True).encode() if self._decoder else b""

    def _without_start(self, chunk: bytes) -> bytes:
        """Drop the byte order mark and blank lines before the header, which Arrow would take for it."""
        if not self._begun:
            chunk = chunk.removeprefix(codecs.BOM_UTF8).lstrip(b"\r\n")
            self._begun = bool(chunk)
        return chunk
