"""PDF: the text layer, with wrapped lines put together again."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

from steps.extraction.reasons import ExtractDrop, UnusableError
from steps.extraction.text import Extracted, repair

#: A line at least this long, relative to the longest of its page, was wrapped by the page's margin.
WRAPPED_SHARE = 0.75
#: Lines this short are never taken for wrapped ones: a page of titles or table cells has no margin to wrap at.
MIN_WRAPPED_CHARACTERS = 40
_STARTS_A_BLOCK = re.compile(r"\s*([-*+•‣◦▪●–—]\s|\d{1,3}[.)]\s|#)")
#: A short line of its own that ends in a colon, such as `Key points:`. A PDF does not keep the gap above it.
_LABEL = re.compile(r"\s*[A-Z][^.!?]{0,60}:$")
_ENDS_A_BLOCK = re.compile(r"[.:!?…]['\")\]]?\s*$")


def read_pdf(content: bytes) -> Extracted:
    """Read a PDF's text layer, page by page. A first line that is the title of its metadata becomes a heading.

    Raises:
        UnusableError: `encrypted_pdf` (a password is needed), `broken_pdf`, or `no_text_in_pdf` (scanned or empty).
    """
    if not content.strip():
        raise UnusableError(ExtractDrop.EMPTY_FILE, f"{len(content)} bytes")
    with _quiet_pypdf():
        pages, title = _pages(content)
    text = repair("\n\n".join(unwrap(page) for page in pages if page.strip())).strip()
    if not text:
        raise UnusableError(
            ExtractDrop.NO_TEXT_IN_PDF, f"{len(pages)} pages without text; scanned pages need OCR first"
        )
    first, _, rest = text.partition("\n")
    if title and first.strip().casefold() == title.casefold():
        text = f"# {title}\n\n{rest.lstrip()}"
    return Extracted(text, title)


def unwrap(page: str) -> str:
    r"""Join the lines that the page's margin wrapped, so that a sentence or list item is one line again.

    >>> unwrap("- a list item that goes on and on until the margin\nstops it\n- next")
    '- a list item that goes on and on until the margin stops it\n- next'
    """
    lines = [line.rstrip() for line in repair(page).split("\n")]
    margin = max(MIN_WRAPPED_CHARACTERS, WRAPPED_SHARE * max(map(len, lines), default=0))
    joined: list[str] = []
    wrapped = False
    for line in lines:
        is_label = _LABEL.match(line) is not None
        if joined and wrapped and line.strip() and not is_label and not _STARTS_A_BLOCK.match(line):
            joined[-1] = _join(joined[-1], line.strip())
        else:
            joined += ["", line] if is_label and joined and joined[-1] else [line]
        wrapped = len(line) >= margin and not _ENDS_A_BLOCK.search(line)
    return "\n".join(joined)


def _join(left: str, right: str) -> str:
    """Join two halves of a sentence; a hyphen between two lower-case letters was put there by the margin."""
    if re.search(r"[a-z]-$", left) and right[:1].islower():
        return left[:-1] + right
    return f"{left} {right}"


def _pages(content: bytes) -> tuple[list[str], str | None]:
    """Return the text of each page and the title of the metadata."""
    from pypdf import PasswordType, PdfReader

    try:
        reader = PdfReader(io.BytesIO(content))
        if reader.is_encrypted and reader.decrypt("") == PasswordType.NOT_DECRYPTED:
            raise UnusableError(ExtractDrop.ENCRYPTED_PDF, "a password is needed; save it without one")
        pages = [page.extract_text() for page in reader.pages]
        title = str(reader.metadata.title or "").strip() if reader.metadata else ""
    except UnusableError:
        raise
    except Exception as error:  # a broken PDF fails in pypdf in any way: KeyError, RecursionError, struct.error, …
        raise UnusableError(ExtractDrop.BROKEN_PDF, f"{type(error).__name__}: {str(error)[:200]}") from None
    return pages, repair(title) or None


@contextmanager
def _quiet_pypdf() -> Iterator[None]:
    """Hold back pypdf's warnings about each defect that it works around."""
    logger = logging.getLogger("pypdf")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
