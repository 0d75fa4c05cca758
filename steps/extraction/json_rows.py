"""JSON and JSON Lines: strict, line by line where a line is broken, and by columns where none is."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa

from steps.extraction.reasons import ExtractDrop, UnusableError
from steps.extraction.row_blocks import BATCH_ROWS, Block, Columns, RawRow, failed, of_rows

#: Bytes of JSON Lines parsed at a time; with the columns made of them some 50 MB of memory.
BLOCK_BYTES = 4 << 20
#: A JSON array is parsed whole, which takes some ten times its size in memory.
MAX_JSON_BYTES = 1 << 30


#: A block that cannot be read by columns is cut into so many parts, down to so many rows.
N_PARTS, MIN_SPLIT_ROWS = 8, 64
#: Brackets that cannot reach Python's recursion limit of 1,000, however they nest; digits that Python's limit of 4,300
#: allows an integer. A line of valid JSON that holds either is longer than the last of these.
MAX_PLAIN_DEPTH = 900
_LONG_NUMBER = re.compile(rb"[0-9]{4000}")
MIN_LONG_LINE = 1_800


class _Lines(NamedTuple):
    """Some lines of a file; `too_long` stands for one line that was not kept."""

    first_line: int
    content: bytes
    too_long: bool = False


def json_blocks(stream: BinaryIO, path: str, max_row_bytes: int, rows_at: str | None = None) -> Iterator[Block]:
    """Yield the elements of an array, one object, or the lines of JSON Lines under a `.json` name.

    `rows_at` is the dotted path of the array within an object.
    """
    content = stream.read(MAX_JSON_BYTES + 1)
    if len(content) > MAX_JSON_BYTES:
        said = f"more than {MAX_JSON_BYTES / 1e6:.0f} MB of JSON; write it as JSON Lines, which is read as it comes"
        yield failed(path, ExtractDrop.TOO_LARGE_FILE, said)
        return
    value = parse_json(content)
    first_line = content.split(b"\n", 1)[0]
    if isinstance(value, UnusableError) and isinstance(parse_json(first_line), dict):
        yield from json_line_blocks(io.BytesIO(content), path, max_row_bytes)
        return
    if rows_at is not None and not isinstance(value, UnusableError):
        value = _array_at(value, rows_at)
    if isinstance(value, list):
        rows = (RawRow(path, row, None, element) for row, element in enumerate(value))
        while batch := list(islice(rows, BATCH_ROWS)):
            yield of_rows(batch)
    else:
        yield of_rows([RawRow(path, None if isinstance(value, UnusableError) else 0, None, value)])


def _array_at(value: Any, rows_at: str) -> Any:
    """Return the array at a dotted path, or the error that says where the path ends."""
    for number, key in enumerate(rows_at.split(".")):
        if not isinstance(value, dict) or key not in value:
            place = ".".join(rows_at.split(".")[:number]) or "the top"
            found = ", ".join(sorted(value)[:12]) if isinstance(value, dict) else type(value).__name__
            return UnusableError(ExtractDrop.MISSING_KEYS, f"rows_at={rows_at}: {place} holds {found}, not {key}")
        value = value[key]
    if isinstance(value, list):
        return value
    return UnusableError(ExtractDrop.WRONG_TYPE, f"rows_at={rows_at} is {type(value).__name__}, not an array")


def json_line_blocks(stream: BinaryIO, path: str, max_row_bytes: int) -> Iterator[Block]:
    """Yield the lines that hold something, each a row; a line longer than `max_row_bytes` is one of them."""
    row = 0
    for lines in _line_blocks(stream, max_row_bytes):
        block = _block(lines, path, row, max_row_bytes)
        if block.n_rows:
            yield block
            row += block.n_rows
    if row == 0:
        yield failed(path, ExtractDrop.EMPTY_FILE, "no rows")


def _block(lines: _Lines, path: str, first_row: int, max_row_bytes: int) -> Block:
    if lines.too_long:
        error = UnusableError(ExtractDrop.TOO_LARGE_ROW, f"more than max_row_mb={max_row_bytes / 1e6:g}")
        return of_rows([RawRow(path, first_row, lines.first_line, error)])
    numbered = [(number, line) for number, line in enumerate(lines.content.split(b"\n")) if line.strip()]

    def raw(places: Sequence[int]) -> Iterator[RawRow]:
        for place in places:
            number, line = numbered[place]
            value = (
                parse_json(line)
                if len(line) <= max_row_bytes
                else UnusableError(
                    ExtractDrop.TOO_LARGE_ROW, f"{len(line) / 1e6:.1f} MB, max_row_mb={max_row_bytes / 1e6:g}"
                )
            )
            yield RawRow(path, first_row + place, lines.first_line + number, value)

    def columns(names: Sequence[str]) -> Columns | None:
        found = _text_columns(lines.content, [line for _, line in numbered], names)
        return (
            Columns(found, _doubtful(lines.content, [line for _, line in numbered], max_row_bytes))
            if found is not None
            else None
        )

    def parts() -> list[Block]:
        if len(numbered) < MIN_SPLIT_ROWS:
            return []
        bounds = [len(numbered) * part // N_PARTS for part in range(N_PARTS + 1)]
        return [
            _block(
                _Lines(lines.first_line + numbered[start][0], b"\n".join(line for _, line in numbered[start:end])),
                path,
                first_row + start,
                max_row_bytes,
            )
            for start, end in pairwise(bounds)
        ]

    return Block(path, first_row, len(numbered), raw, columns, parts)


def _text_columns(content: bytes, lines: Sequence[bytes], names: Sequence[str]) -> pa.Table | None:
    """Parse lines by columns; None unless every line is one object whose named values are texts.

    Arrow's parser reads values rather than lines. Where every line begins with a brace and ends with one, no value goes
    over two lines (a comma would have to stand between), so that as many values as lines are one value a line.
    """
    import pyarrow.json

    stripped = content.strip()
    is_dense = stripped.count(b"}\n{") == len(lines) - 1 and stripped[:1] == b"{" and stripped[-1:] == b"}"
    if not is_dense and not all(line.strip()[:1] == b"{" and line.strip()[-1:] == b"}" for line in lines):
        return None
    schema = pa.schema([(name, pa.large_string()) for name in names])
    parsing = pyarrow.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
    reading = pyarrow.json.ReadOptions(use_threads=False, block_size=len(content) + 1)
    try:
        content.decode("utf-8")
        found = pyarrow.json.read_json(pa.BufferReader(content), reading, parsing)
    except (pa.ArrowException, UnicodeDecodeError):
        return None
    return found if found.num_rows == len(lines) else None


def _doubtful(content: bytes, lines: Sequence[bytes], max_row_bytes: int) -> list[int]:
    """Return the places of lines that Arrow's parser may take though they are too long or Python's refuses them.

    These are numbers that are none, numbers of thousands of digits, and nesting near Python's recursion limit.
    """
    found = [
        place
        for place, line in enumerate(lines)
        if len(line) > max_row_bytes or (len(line) > MIN_LONG_LINE and _is_extreme(line))
    ]
    for constant in (b"NaN", b"Infinity"):
        if constant in content:
            found += [place for place, line in enumerate(lines) if constant in line]
    return found


def _is_extreme(line: bytes) -> bool:
    return line.count(b"[") + line.count(b"{") > MAX_PLAIN_DEPTH or _LONG_NUMBER.search(line) is not None


def _line_blocks(stream: BinaryIO, max_row_bytes: int) -> Iterator[_Lines]:
    """Cut a stream behind line ends into blocks of about `BLOCK_BYTES`, whatever the length of its lines."""
    line, waiting, too_long = 1, b"", False
    while chunk := stream.read(BLOCK_BYTES):
        cut = chunk.rfind(b"\n") + 1
        if too_long or (not cut and len(waiting) + len(chunk) > max(max_row_bytes, BLOCK_BYTES)):
            # Nothing of such a line is kept; what stands behind it in the chunk is.
            end = chunk.find(b"\n") + 1
            too_long, waiting = True, b""
            if not end:
                continue
            yield _Lines(line, b"", too_long=True)
            line, too_long, chunk, cut = line + 1, False, chunk[end:], cut - end
        whole = waiting + chunk[:cut] if cut else b""
        waiting = chunk[cut:] if cut else waiting + chunk
        if whole:
            yield _Lines(line, whole)
            line += whole.count(b"\n")
    if too_long:
        yield _Lines(line, b"", too_long=True)
    elif waiting:
        yield _Lines(line, waiting)


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
