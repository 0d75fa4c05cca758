"""PDF: the text layer in reading order, with headings, lists and tables; wrapped lines are put together again."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from steps.extraction.parts import assemble
from steps.extraction.pdf_layout import Block, blocks_of
from steps.extraction.pdf_tables import TableFinder, with_tables
from steps.extraction.pdf_text import page_texts
from steps.extraction.pdf_words import segments_of
from steps.extraction.reasons import ExtractDrop, UnusableError
from steps.extraction.repairs import mend
from steps.extraction.text import Extracted

#: Titles that programs write when nobody gave one.
_NO_TITLES = frozenset(("(anonymous)", "untitled", "(unspecified)", "untitled document", "document1", "title"))


class _Page(NamedTuple):
    blocks: list[Block]
    has_picture: bool


def read_pdf(content: bytes) -> Extracted:
    """Read a PDF's text layer, page by page. A first line that is the title of its metadata becomes a heading.

    Raises:
        UnusableError: `encrypted_pdf` (a password is needed), `broken_pdf`, `scanned_pdf` (pictures of pages) or
            `no_text_in_pdf` (no text and no pictures).
    """
    if not content.strip():
        raise UnusableError(ExtractDrop.EMPTY_FILE, f"{len(content)} bytes")
    pages, title = _pages(content)
    n_pictures = sum(page.has_picture for page in pages)
    texts = page_texts([page.blocks for page in pages])
    parts = [(f"page {number}", text) for number, text in enumerate(texts, start=1)]
    if n_pictures:
        empty, found = (
            ExtractDrop.SCANNED_PDF,
            f"{n_pictures} of {len(pages)} pages are pictures without text; run OCR first",
        )
    elif any(page.blocks for page in pages):
        empty, found = ExtractDrop.NO_TEXT_IN_PDF, f"{len(pages)} pages with nothing but page numbers and running heads"
    else:
        empty, found = ExtractDrop.NO_TEXT_IN_PDF, f"{len(pages)} pages without text or pictures"
    read = assemble(parts, title, empty, found)
    first, _, rest = read.text.partition("\n")
    if title and first.strip().lstrip("# ").casefold() == title.casefold() and not first.startswith("# "):
        text = f"# {title}\n\n{rest.lstrip()}"
        moved = len(text) - len(read.text)
        places = tuple(place._replace(start=place.start + moved if place.start else 0) for place in read.offset_map)
        read = read._replace(text=text, offset_map=places)
    return read._replace(title=title or _first_large(read.text))


def _pages(content: bytes) -> tuple[list[_Page], str | None]:
    """Return the blocks of each page and the title of the metadata.

    Raises:
        UnusableError: `encrypted_pdf` or `broken_pdf`.
    """
    import pypdfium2 as pdfium

    try:
        document = pdfium.PdfDocument(content)
    except pdfium.PdfiumError as error:
        code = pdfium.raw.FPDF_GetLastError()
        if code in (pdfium.raw.FPDF_ERR_PASSWORD, pdfium.raw.FPDF_ERR_SECURITY):
            raise UnusableError(ExtractDrop.ENCRYPTED_PDF, "a password is needed; save it without one") from None
        raise UnusableError(ExtractDrop.BROKEN_PDF, str(error)[:200]) from None
    finder = TableFinder(content)
    try:
        if not len(document):
            raise UnusableError(ExtractDrop.BROKEN_PDF, "no page can be found in it")
        pages = [_read_page(document, number, finder) for number in range(len(document))]
        title = _cleaned(document.get_metadata_value("Title") or "")
    except pdfium.PdfiumError as error:
        raise UnusableError(ExtractDrop.BROKEN_PDF, str(error)[:200]) from None
    finally:
        finder.close()
        document.close()
    return pages, title


def _read_page(document: Any, number: int, finder: TableFinder) -> _Page:
    import pypdfium2.raw as raw

    page = document[number]
    try:
        segments = segments_of(page)
        if not segments:
            pictures = page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE], max_depth=4)
            return _Page([], next(iter(pictures), None) is not None)
        return _Page(blocks_of(with_tables(segments, finder.tables(page, number))), False)
    finally:
        page.close()


def _cleaned(title: str) -> str | None:
    """Return the title of the metadata without what programs put into it; None for a name that they made up."""
    title = " ".join(mend(title)[0].split())
    title = re.sub(r"^Microsoft (?:Word|PowerPoint) - ", "", title)
    title = re.sub(r"\.(?:docx?|pptx?|odt|tex|indd|dvi|pdf|rtf)$", "", title)
    return title if title and title.casefold() not in _NO_TITLES else None


def _first_large(text: str) -> str | None:
    """Return the words of a heading with which the text begins."""
    found = re.match(r"#{1,4} (.+)", text)
    return found[1].strip() if found else None
