"""Files to documents: which reader a file gets, and what becomes of the unreadable ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

from steps.extraction.html import read_html
from steps.extraction.markdown import read_markdown
from steps.extraction.pdf import read_pdf
from steps.extraction.reasons import ExtractDrop, UnusableError
from steps.extraction.text import Extracted, read_text

#: By suffix; any other file that a source includes is read as text, and recognised there if it is binary.
FORMATS: Mapping[str, str] = {
    ".md": "markdown",
    ".markdown": "markdown",
    ".mdx": "markdown",
    ".qmd": "markdown",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".pdf": "pdf",
}
READERS: Mapping[str, Callable[[bytes], Extracted]] = {
    "markdown": read_markdown,
    "html": read_html,
    "pdf": read_pdf,
    "text": read_text,
}
PDF_MARK = b"%PDF-"


def format_of(path: str) -> str:
    """Return the format of a file by its name: markdown, html, pdf or text.

    >>> format_of("guide/Start.MD"), format_of("LICENSE")
    ('markdown', 'text')
    """
    return FORMATS.get(PurePosixPath(path).suffix.lower(), "text")


def read_file(file: Path, max_file_mb: float) -> tuple[str, Extracted]:
    """Read one file; return its format and what it holds.

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
    found = "pdf" if content.startswith(PDF_MARK) else format_of(file.name)
    return found, READERS[found](content)


def read_text_row(text: str, path: str | None) -> tuple[str, Extracted]:
    """Read the text of a data set row as the file that it was: Markdown by its path's suffix, or else plain text.

    Raises:
        UnusableError: `empty_text` if nothing is left.
    """
    found = format_of(path or "")
    found = found if found == "markdown" else "text"
    try:
        return found, READERS[found](text.encode("utf-8", "surrogatepass"))
    except UnusableError as error:
        reason = ExtractDrop.EMPTY_TEXT if error.reason == ExtractDrop.EMPTY_FILE else error.reason
        raise UnusableError(reason, error.detail) from None
