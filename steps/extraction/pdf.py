"""PDF: the text layer in reading order, with headings, lists and tables; wrapped lines are put together again."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from steps.extraction.parts import assemble
from steps.extraction.pdf_layout import Block, blocks_of
from steps.extraction.pdf_tables import TableFinder, with_tables
from steps.extraction.pdf_words import segments_of
from steps.extraction.reasons import ExtractDrop, UnusableError
from steps.extraction.repairs import mend
from steps.extraction.text import Extracted, repair

#: A line at least this long, relative to the longest of its page, was wrapped by the page's margin.
WRAPPED_SHARE = 0.75
#: Lines this short are never taken for wrapped ones: a page of titles or table cells has no margin to wrap at.
MIN_WRAPPED_CHARACTERS = 40
#: Headings are set larger than the body by this factor, and are short.
HEADING_RATIO = 1.15
MAX_HEADING_CHARACTERS = 150
MAX_HEADING_LEVEL = 4
#: A line at the top or bottom that this share of the pages repeats is a running head; fewer pages have none.
RUNNING_SHARE = 0.6
MIN_RUNNING_PAGES = 3
_STARTS_A_BLOCK = re.compile(r"\s*([-*+•‣◦▪●–—]\s|\d{1,3}[.)]\s|#)")
_BULLET = re.compile(r"^\s*[•‣◦▪●∙·\uf0b7\uf0a7]\s*", re.MULTILINE)
#: A short line of its own that ends in a colon, such as `Key points:`. A PDF does not keep the gap above it.
_LABEL = re.compile(r"\s*[A-Z][^.!?]{0,60}:$")
_ENDS_A_BLOCK = re.compile(r"[.:!?…]['\")\]]?\s*$")
_NUMBERED = re.compile(r"(\d{1,2}(?:\.\d{1,2}){0,3})\.?\s+[A-Z]\S*")
_PAGE_NUMBER = re.compile(r"(?:page\s+)?[-–—]?\s*\d{1,4}\s*[-–—]?(?:\s*(?:of|/)\s*\d{1,4})?", re.IGNORECASE)


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
    body = _body_height(pages)
    levels = _heading_levels(pages, body)
    running = _running_lines(pages)
    parts = [(f"page {number}", _page_text(page, levels, running)) for number, page in enumerate(pages, start=1)]
    if n_pictures:
        empty, found = ExtractDrop.SCANNED_PDF, f"{n_pictures} of {len(pages)} pages are pictures without text; run OCR first"
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
        title = mend(document.get_metadata_value("Title") or "")[0].strip()
    except pdfium.PdfiumError as error:
        raise UnusableError(ExtractDrop.BROKEN_PDF, str(error)[:200]) from None
    finally:
        finder.close()
        document.close()
    return pages, title or None


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


def _body_height(pages: Sequence[_Page]) -> float:
    """Return the height of the lines that hold the most characters."""
    counts: Counter[float] = Counter()
    for page in pages:
        for block in page.blocks:
            for line in block.lines if block.kind == "text" else ():
                counts[round(line.height * 2) / 2] += len(line.text)
    return counts.most_common(1)[0][0] if counts else 0.0


def _heading_levels(pages: Sequence[_Page], body: float) -> dict[float, int]:
    """Return the level of each height that headings are set in: the largest is 1."""
    heights = {
        round(block.lines[0].height * 2) / 2
        for page in pages
        for block in page.blocks
        if block.kind == "text" and block.lines[0].height >= HEADING_RATIO * body and _is_short(block)
    }
    return {height: min(level, MAX_HEADING_LEVEL) for level, height in enumerate(sorted(heights, reverse=True), start=1)}


def _is_short(block: Block) -> bool:
    text = " ".join(line.text for line in block.lines)
    return 2 < len(text) <= MAX_HEADING_CHARACTERS and any(character.isalpha() for character in text)


def _running_lines(pages: Sequence[_Page]) -> set[str]:
    """Return the heads and feet that the pages repeat, with digits as `#`."""
    if len(pages) < MIN_RUNNING_PAGES:
        return set()
    counts: Counter[str] = Counter()
    for page in pages:
        lines = [line for block in page.blocks for line in block.lines if block.kind == "text"]
        lines.sort(key=lambda line: line.middle)
        counts.update({_without_digits(line.text) for line in (*lines[:2], *lines[-2:])})
    return {text for text, n in counts.items() if n >= max(MIN_RUNNING_PAGES, RUNNING_SHARE * len(pages))}


def _without_digits(text: str) -> str:
    return re.sub(r"\d+", "#", text)


def _page_text(page: _Page, levels: dict[float, int], running: set[str]) -> str:
    texts: list[str] = []
    for number, block in enumerate(page.blocks):
        if block.kind == "table":
            texts.append(block.table)
            continue
        is_edge = number in (0, len(page.blocks) - 1)
        lines = [line for line in block.lines if _without_digits(line.text) not in running]
        if is_edge and len(lines) == 1 and _PAGE_NUMBER.fullmatch(lines[0].text):
            continue
        if not lines:
            continue
        text = "\n".join(line.text for line in lines)
        level = _level(block, text, levels)
        texts.append(f"{'#' * level} {' '.join(text.split())}" if level else _BULLET.sub("- ", unwrap(text)))
    return "\n\n".join(texts)


def _level(block: Block, text: str, levels: dict[float, int]) -> int:
    """Return the level of a heading, 0 for text: by its size, or by its number if it is bold and numbered."""
    if not _is_short(block) or text.rstrip().endswith((".", ",", ";")) and not _NUMBERED.match(text):
        return 0
    if level := levels.get(round(block.lines[0].height * 2) / 2, 0):
        return level
    numbered = _NUMBERED.match(text)
    is_bold = all(segment.is_bold for line in block.lines for segment in line.segments)
    if numbered and is_bold and len(block.lines) <= 2:
        return min(MAX_HEADING_LEVEL, 2 + numbered[1].count("."))
    return 0


def _first_large(text: str) -> str | None:
    """Return the first heading of the first level, if the text begins with it."""
    found = re.match(r"# (.+)", text)
    return found[1].strip() if found else None
