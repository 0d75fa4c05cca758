"""Files to documents: which reader a file gets, and what becomes of the unreadable ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from steps.extraction.archives import refuse_old_office, zip_format
from steps.extraction.asciidoc import read_asciidoc
from steps.extraction.csv_table import read_csv
from steps.extraction.docx import read_docx
from steps.extraction.epub import read_epub
from steps.extraction.html import read_html
from steps.extraction.markdown import read_markdown
from steps.extraction.notebook import read_notebook
from steps.extraction.pdf import read_pdf
from steps.extraction.pptx import read_pptx
from steps.extraction.reasons import ExtractDrop, UnusableError
from steps.extraction.repairs import KINDS
from steps.extraction.rst import read_rst
from steps.extraction.source_code import language_of, read_code
from steps.extraction.subtitles import read_subtitles
from steps.extraction.text import Extracted, read_text
from steps.extraction.xlsx import read_xlsx

#: By suffix; any other file that a source includes is read as text, and recognised there if it is binary.
FORMATS: Mapping[str, str] = {
    ".md": "markdown",
    ".markdown": "markdown",
    ".mdx": "markdown",
    ".qmd": "markdown",
    ".rmd": "markdown",
    ".rst": "rst",
    ".rest": "rst",
    ".adoc": "asciidoc",
    ".asciidoc": "asciidoc",
    ".asc": "asciidoc",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".pdf": "pdf",
    ".docx": "docx",
    ".docm": "docx",
    ".dotx": "docx",
    ".pptx": "pptx",
    ".pptm": "pptx",
    ".xlsx": "xlsx",
    ".xlsm": "xlsx",
    ".epub": "epub",
    ".ipynb": "notebook",
    ".vtt": "subtitles",
    ".srt": "subtitles",
    ".csv": "csv",
    ".tsv": "csv",
}
READERS: Mapping[str, Callable[[bytes], Extracted]] = {
    "markdown": read_markdown,
    "rst": read_rst,
    "asciidoc": read_asciidoc,
    "html": read_html,
    "pdf": read_pdf,
    "docx": read_docx,
    "pptx": read_pptx,
    "xlsx": read_xlsx,
    "epub": read_epub,
    "notebook": read_notebook,
    "subtitles": read_subtitles,
    "csv": read_csv,
    "text": read_text,
}
PDF_MARK = b"%PDF-"
ZIP_MARKS = (b"PK\x03\x04", b"PK\x05\x06")
#: Formats that a zip container can have; a file that claims one of them and is none is broken.
_IN_ZIP: Mapping[str, ExtractDrop] = {
    "docx": ExtractDrop.BROKEN_OFFICE_FILE,
    "pptx": ExtractDrop.BROKEN_OFFICE_FILE,
    "xlsx": ExtractDrop.BROKEN_OFFICE_FILE,
    "epub": ExtractDrop.BROKEN_EPUB,
}
#: First bytes of files that hold no text, and what they are; the ledger says it.
_NO_TEXT: Mapping[bytes, str] = {
    b"\x89PNG\r\n": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF8": "a GIF picture",
    b"RIFF": "a RIFF file (WebP, WAV, AVI)",
    b"\x1f\x8b": "gzip data",
    b"BZh": "bzip2 data",
    b"\xfd7zXZ\x00": "xz data",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!\x1a\x07": "a RAR archive",
    b"\x28\xb5\x2f\xfd": "zstd data",
    b"\x7fELF": "an ELF program",
    b"MZ\x90\x00": "a Windows program",
    b"SQLite format 3\x00": "a SQLite database",
    b"PAR1": "a Parquet file; read it as a dataset",
    b"\x00asm": "a WebAssembly module",
}
#: Bytes at the beginning in which a page without a telling suffix shows that it is HTML.
HTML_HEAD_BYTES = 512


def format_of(path: str) -> str:
    """Return the format of a file by its name, text if it tells nothing.

    >>> format_of("guide/Start.MD"), format_of("LICENSE"), format_of("a.py")
    ('markdown', 'text', 'code')
    """
    known = FORMATS.get(PurePosixPath(path).suffix.lower())
    return known or ("code" if language_of(path) else "text")


def format_of_content(content: bytes, name: str) -> str:
    """Return the format of a file by its content, and by its name where the content is any text.

    Raises:
        UnusableError: if the content is of a kind that no reader reads, or not what its name says.
    """
    named = format_of(name)
    if content.startswith(PDF_MARK):
        return "pdf"
    if content.startswith(ZIP_MARKS):
        found = zip_format(content)
        if found is None:
            raise UnusableError(
                _IN_ZIP.get(named, ExtractDrop.UNSUPPORTED_ARCHIVE),
                "a zip archive without a document's parts; unpack it",
            )
        return found
    refuse_old_office(content)
    for mark, kind in _NO_TEXT.items():
        if content.startswith(mark):
            raise UnusableError(ExtractDrop.BINARY_FILE, kind)
    if named == "text" and _is_html(content):
        return "html"
    if named == "code" and name.lower().endswith(".json") and b'"nbformat"' in content and b'"cells"' in content:
        return "notebook"
    return named


def read_content(content: bytes, name: str) -> tuple[str, Extracted]:
    """Read the bytes of a file; return its format and what it holds.

    Raises:
        UnusableError: with the reason.
    """
    if not content:
        raise UnusableError(ExtractDrop.EMPTY_FILE, "0 bytes")
    found = format_of_content(content, name)
    return found, read_code(content, name) if found == "code" else READERS[found](content)


def read_file(file: Path, max_file_mb: float, name: str | None = None) -> tuple[str, Extracted]:
    """Read one file; return its format and what it holds. `name` is its path within its source.

    Raises:
        UnusableError: with the reason.
    """
    try:
        size_mb = file.stat().st_size / 1e6
        if size_mb > max_file_mb:
            raise UnusableError(ExtractDrop.TOO_LARGE_FILE, f"{size_mb:.1f} MB, max_file_mb={max_file_mb:g}")
        content = file.read_bytes()
    except OSError as error:
        raise UnusableError(ExtractDrop.UNREADABLE_FILE, error.strerror or str(error)) from None
    return read_content(content, name or file.name)


def read_text_row(text: str, path: str | None) -> tuple[str, Extracted]:
    """Read the text of a data set row as the file that it was: Markdown by its path's suffix, or else plain text.

    Raises:
        UnusableError: `empty_text` if nothing is left.
    """
    found = format_of(path or "")
    found = found if found in ("markdown", "rst") else "text"
    try:
        return found, READERS[found](text.encode("utf-8", "surrogatepass"))
    except UnusableError as error:
        reason = ExtractDrop.EMPTY_TEXT if error.reason == ExtractDrop.EMPTY_FILE else error.reason
        raise UnusableError(reason, error.detail) from None


def columns_of(found: Extracted) -> dict[str, Any]:
    """Return the columns of `DOCUMENTS` that a reader fills: title, licence, offset map and repairs."""
    return {
        "title": found.title,
        "licence": found.licence,
        "offset_map": [place._asdict() for place in found.offset_map],
        "repairs": {kind: found.repairs.get(kind, 0) for kind in KINDS},
    }


def _is_html(content: bytes) -> bool:
    head = content[:HTML_HEAD_BYTES].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return head.startswith((b"<!doctype html", b"<html"))
