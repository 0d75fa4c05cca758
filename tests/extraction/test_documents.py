from pathlib import Path

import pyarrow as pa
import pytest

from steps.extraction.document_columns import with_languages, without_code
from steps.extraction.documents import columns_of, read_content, read_file, read_text_row
from steps.extraction.reasons import ExtractDrop, UnusableError
from steps.rows import DOCUMENTS, table
from tests.extraction.office_files import archive, docx, paragraph


@pytest.mark.parametrize(
    ("content", "name", "format_name"),
    [
        (docx(paragraph("x")), "misnamed.txt", "docx"),
        (docx(paragraph("x")), "misnamed.xlsx", "docx"),
        (b"<!DOCTYPE html><p>Some text of a page.</p>", "page", "html"),
        (b"\xef\xbb\xbf\n<html><p>Some text of a page.</p>", "page.txt", "html"),
        (b"<html> in Markdown", "page.md", "markdown"),
        (b'{"nbformat": 4, "cells": [{"cell_type": "markdown", "source": "a"}]}', "book.json", "notebook"),
        (b'{"a": 1}', "data.json", "code"),
        (b"x = 1", "a/b.py", "code"),
        (b"Title\n=====\n\ntext", "a.rst", "rst"),
        (b"a,b\n1,2", "a.csv", "csv"),
        (b"text", "NOTES", "text"),
    ],
)
def test_format_is_told_by_content_before_the_name(content: bytes, name: str, format_name: str) -> None:
    assert read_content(content, name)[0] == format_name


@pytest.mark.parametrize(
    ("content", "name", "reason", "said"),
    [
        (b"", "a.md", ExtractDrop.EMPTY_FILE, "0 bytes"),
        (b"\x89PNG\r\n\x1a\n", "a.md", ExtractDrop.BINARY_FILE, "a PNG picture"),
        (b"PAR1....", "a.txt", ExtractDrop.BINARY_FILE, "read it as a dataset"),
        (archive(a="b"), "a.zip", ExtractDrop.UNSUPPORTED_ARCHIVE, "unpack it"),
        (archive(a="b"), "a.docx", ExtractDrop.BROKEN_OFFICE_FILE, "without a document's parts"),
        (b"PK\x03\x04 and nothing else", "a.docx", ExtractDrop.BROKEN_ARCHIVE, "no readable zip"),
        (b"no zip", "a.docx", ExtractDrop.BROKEN_OFFICE_FILE, "no readable zip"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a.doc", ExtractDrop.OLD_OFFICE_FILE, "save it as"),
    ],
)
def test_what_no_reader_reads_has_a_true_reason(content: bytes, name: str, reason: ExtractDrop, said: str) -> None:
    with pytest.raises(UnusableError, match=said) as caught:
        read_content(content, name)
    assert caught.value.reason == reason


def test_file_too_large_is_never_opened(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x" * 2_000)
    with pytest.raises(UnusableError) as caught:
        read_file(tmp_path / "a.txt", 0.001)
    assert caught.value.reason == ExtractDrop.TOO_LARGE_FILE


def test_code_is_fenced_under_its_path_with_its_definitions_as_places() -> None:
    code = b'# SPDX-License-Identifier: MIT\n"""Adds numbers.\n\nMore."""\n\ndef add(a, b):\n    return a + b\n'
    _, found = read_content(code, "pkg/sums.py")
    assert found.text.startswith("# pkg/sums.py\n\n```python\n# SPDX")
    assert (found.title, found.licence) == ("Adds numbers", "MIT")
    assert [(place.label, found.text[place.start :][:7]) for place in found.offset_map] == [("add", "def add")]


def test_fence_is_longer_than_any_in_the_code() -> None:
    assert "````bash\n# ```\n````" in read_content(b"# ```\n", "a.sh")[1].text


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_table_is_split_at_its_own_delimiter(delimiter: str) -> None:
    rows = [("a", "b"), ('"1, 2; 3"', "x\ty" if delimiter != "\t" else "z"), ("", "")]
    content = "\n".join(delimiter.join(row) for row in rows).encode()
    text = read_content(content, "t.csv")[1].text
    assert text.split("\n")[:3] == [
        "| a | b |",
        "| --- | --- |",
        f"| 1, 2; 3 | {'x y' if delimiter != chr(9) else 'z'} |",
    ]


def test_text_row_is_read_as_the_file_that_it_was() -> None:
    assert read_text_row("A\n=\n\n* b", "x.rst")[1].text == "# A\n\n- b"
    assert read_text_row("%PDF-1.4", "x.pdf")[0] == "text"


def test_language_is_told_without_code_and_not_for_code() -> None:
    german = "Der Speicher verkürzt die Wartezeit langer Anfragen um ein Drittel."
    texts = (
        ("markdown", f"```python\nthe code and all of its words are in English here\n```\n\n{german}"),
        ("markdown", "The cache cuts the latency of long requests by thirty percent."),
        ("code", "# a.py\n\n```python\nx = 1\n```"),
        ("markdown", "| 1 | 2 |"),
    )
    rows = [
        {"id": str(number), "text": text, "source": "s", "path": "p", "format": name}
        for number, (name, text) in enumerate(texts)
    ]
    documents = table(rows, DOCUMENTS)
    found = with_languages(documents)
    assert found["language"].to_pylist() == ["de", "en", None, None]
    assert found.schema.equals(DOCUMENTS)
    assert with_languages(documents.slice(0, 0)).num_rows == 0
    assert without_code(pa.array([texts[0][1]]))[0].as_py().strip() == german


def test_columns_of_a_document_fit_the_table() -> None:
    format_name, found = read_content(b"# A\r\n\ntext", "a.md")
    row = {"id": "1", "text": found.text, "source": "s", "path": "p", "format": format_name, **columns_of(found)}
    (back,) = table([row], DOCUMENTS).to_pylist()
    assert back["offset_map"] == [{"start": 0, "label": "A"}]
    assert back["repairs"]["line_end"] == 1


@pytest.mark.real_data
@pytest.mark.parametrize(
    "folder", ["docs-docling-text", "docs-markitdown", "docs-zenml-projects", "pdf-pypdf", "blns", "jsontestsuite"]
)
def test_every_real_file_is_a_document_or_has_a_true_reason(real_data: Path, folder: str) -> None:
    from steps.extraction.isolation import ReadLimits, read_files

    files = sorted(file for file in (real_data / folder).rglob("*") if file.is_file())
    found = list(read_files(files, ReadLimits()))
    assert [file for file, _ in found] == files
    for file, outcome in found:
        if isinstance(outcome, UnusableError):
            assert outcome.reason in TRUE_REASONS, (file, outcome)
            assert outcome.reason not in FAULTS_OF_OURS, (file, outcome)
            continue
        _, read = outcome
        assert read.text.strip()
        starts = [place.start for place in read.offset_map]
        assert starts == sorted(starts)
        assert all(0 <= start < len(read.text) for start in starts)


FAULTS_OF_OURS = {ExtractDrop.READER_CRASHED, ExtractDrop.READER_TIMED_OUT, ExtractDrop.READER_OUT_OF_MEMORY}
TRUE_REASONS = set(ExtractDrop) - FAULTS_OF_OURS
