import io
import json
from pathlib import Path

import pytest

from steps.extraction.csv_rows import csv_blocks, delimiter_of
from steps.extraction.reasons import UnusableError
from steps.extraction.row_files import rows_of_source
from steps.extraction.row_sources import DatasetSource


def read(content: bytes, max_row_bytes: int = 1 << 20, **settings: str) -> list[object]:
    """Return the rows of a CSV file, and the reasons of those that are none."""
    blocks = csv_blocks(io.BytesIO(content), "rows.csv", max_row_bytes, **settings)
    rows = [row for block in blocks for row in block.rows()]
    assert [row.row for row in rows if row.row is not None] == list(range(sum(row.row is not None for row in rows)))
    return [str(row.value.reason) if isinstance(row.value, UnusableError) else row.value for row in rows]


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_delimiter_and_encoding_are_found_out(delimiter: str, encoding: str) -> None:
    content = "\r\n".join(["q|a", '"Grüße, welt"|"1\n2"', "x|y"]).replace("|", delimiter).encode(encoding)
    assert read(content) == [{"q": "Grüße, welt", "a": "1\n2"}, {"q": "x", "a": "y"}]


def test_other_encodings_are_found_or_given() -> None:
    text = (
        "question,réponse\n" + "Où es-tu né et où as-tu été à l'école ?,Je suis né à Orléans; l'école était là\n" * 20
    )
    assert read(text.encode("cp1252"), encoding="cp1252")[0] == read(text.encode())[0]
    assert "unknown_encoding" not in read(text.encode("cp1252"))
    assert read("q,a\n住所,名前\n".encode("cp932"), encoding="cp932") == [{"q": "住所", "a": "名前"}]


def test_text_with_commas_in_one_column_is_not_split() -> None:
    assert delimiter_of("text\nOne\nTwo\n") == ","
    assert read(b"text\nOne\nTwo\n") == [{"text": "One"}, {"text": "Two"}]


def test_ragged_rows_are_rows_with_a_reason_in_their_place() -> None:
    assert read(b"q,a\nx,1\n\nbad\ny,2\nb,a,d\n") == [
        {"q": "x", "a": "1"},
        "ragged_row",
        {"q": "y", "a": "2"},
        "ragged_row",
    ]
    assert read(b"q,a\nbad\nworse\n") == ["ragged_row", "ragged_row"]


def test_ragged_rows_keep_their_place_over_blocks() -> None:
    lines = [b"x,%d" % number if number % 7 else b"bad" for number in range(200)]
    found = read(b"q,a\n" + b"\n".join(lines), max_row_bytes=40)
    assert found == [{"q": "x", "a": str(n)} if n % 7 else "ragged_row" for n in range(200)]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty_file"),
        (b"q,a\n", "empty_file"),
        (b"q,\nx,1\n", "bad_header"),
        (b"q,q\nx,1\n", "bad_header"),
        (b"q,a\n\x00,1\n", "binary_file"),
    ],
)
def test_file_without_usable_header_or_rows_is_one_row(content: bytes, reason: str) -> None:
    assert read(content) == [reason]


def test_blank_lines_before_the_header_and_a_mark_are_skipped() -> None:
    assert read(b"\xef\xbb\xbf\n\nq,a\nx,1\n") == [{"q": "x", "a": "1"}]


def test_row_beyond_its_bound_ends_the_file_with_a_reason() -> None:
    found = read(b"q,a\n" + b"x,1\n" * 100 + b"y," + b"2" * 5_000 + b"\nz,3\n", max_row_bytes=100)
    assert found[:75] == [{"q": "x", "a": "1"}] * 75
    assert found[-1] == "too_large_row"


def test_quote_that_is_never_closed_swallows_nothing_silently() -> None:
    assert read(b'q,a\nx,1\ny,"2\nz,3\n') == [{"q": "x", "a": "1"}, "ragged_row"]
    assert read(b'q,a\nx,1\ny,5" disk\n') == [{"q": "x", "a": "1"}, {"q": "y", "a": '5" disk'}]


def test_bytes_of_another_encoding_cost_their_row_only() -> None:
    content = b"q,a\n" + b"x,1\n" * 70_000 + b"\xff,2\ny,3\n"
    found = read(content)
    assert found[-3:] == [{"q": "x", "a": "1"}, "unknown_encoding", {"q": "y", "a": "3"}]


def test_conversations_in_cells_are_parsed(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    cell = json.dumps(turns).replace('"', '""')
    (tmp_path / "rows.csv").write_text(f'messages\n"{cell}"\n[not json\n')
    rows = list(rows_of_source(DatasetSource(name="rows", path=str(tmp_path))))
    assert [row.value for row in rows] == [{"messages": turns}, {"messages": "[not json"}]
