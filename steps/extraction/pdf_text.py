"""The blocks of a PDF's pages as Markdown: headings by their size, wrapped lines as one, no running heads."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from steps.extraction.pdf_layout import Block, Line

#: Headings are set larger than the body by this factor, and are short.
HEADING_RATIO = 1.12
MAX_HEADING_CHARACTERS = 150
MAX_HEADING_LINES = 3
MAX_HEADING_LEVEL = 4
#: Lines shorter than this are never taken for wrapped ones: a page of titles or addresses has no margin to wrap at.
MIN_WRAPPED_CHARACTERS = 35
#: The margin is not sharp: a line was wrapped if the next word would have come nearer to it than this, in font sizes.
MARGIN = 0.5
#: An indent that begins a paragraph, in font sizes.
INDENT = 0.8
#: A line at the top or bottom that this share of the pages repeats is a running head; fewer pages have none.
RUNNING_SHARE = 0.6
#: A page of fewer lines has no head: what it repeats is what it says.
MIN_LINES_BESIDE = 3
#: On a page of so many lines, heads and feet may have two.
MIN_FULL_LINES = 8
MIN_RUNNING_PAGES = 3
_STARTS_A_BLOCK = re.compile(r"\s*([-*+•‣◦▪●∙·\uf0b7\uf0a7–—]\s|\(?(?:\d{1,3}|[a-z])[.)]\s)")
_BULLET = re.compile(r"\s*[•‣◦▪●∙·\uf0b7\uf0a7–]\s*")
#: A short line of its own that ends in a colon, such as `Key points:`. A PDF does not keep the gap above it.
_LABEL = re.compile(r"\s*[A-Z][^.!?]{0,60}:$")
_ENDS_A_SENTENCE = re.compile(r"[.:!?…]['\")\]]?\s*$")
_NUMBERED = re.compile(r"(\d{1,2}(?:\.\d{1,2}){0,3})\.?\s+[A-Z]\S*")
_NUMBER = re.compile(r"\d{1,2}(?:\.\d{1,2}){0,3}\.?")
_PAGE_NUMBER = re.compile(r"(?:page\s+)?[-–—]?\s*\d{1,4}\s*[-–—]?(?:\s*(?:of|/)\s*\d{1,4})?", re.IGNORECASE)


def page_texts(pages: Sequence[Sequence[Block]]) -> list[str]:
    """Return the Markdown of each page."""
    levels = _heading_levels(pages, _body_size(pages))
    running = _running_lines(pages)
    return [_page_text(page, levels, running) for page in pages]


def joined(lines: Sequence[Line], right: float) -> str:
    """Put wrapped lines together: a line went on if the first word of the next one did not fit before `right`."""
    left = min(line.segments[0].x0 for line in lines)
    texts = [_BULLET.sub("- ", lines[0].text, count=1) if _BULLET.match(lines[0].text) else lines[0].text]
    for above, line in pairwise(lines):
        text = line.text
        if _LABEL.match(text) and texts[-1]:
            texts += ["", text]
        elif _goes_on(above, line, right, left):
            texts[-1] = _join(texts[-1], text)
        else:
            texts.append(_BULLET.sub("- ", text, count=1) if _BULLET.match(text) else text)
    return "\n".join(texts)


def _goes_on(above: Line, line: Line, right: float, left: float) -> bool:
    text = above.text
    if _STARTS_A_BLOCK.match(line.text) or len(text) < MIN_WRAPPED_CHARACTERS or _LABEL.match(text):
        return False
    size = max(1.0, line.size)
    is_indented = line.segments[0].x0 > above.segments[0].x0 + INDENT * size and not _STARTS_A_BLOCK.match(text)
    if is_indented and _ENDS_A_SENTENCE.search(text) and above.segments[0].x0 < left + INDENT * size:
        return False
    first = line.segments[0].spans[0]
    fits = above.segments[-1].x1 + (first[1] - first[0]) + 0.25 * size < right - MARGIN * size
    return not fits


def _join(left: str, right: str) -> str:
    """Join two halves of a sentence; a hyphen between two lower-case letters was put there by the margin."""
    if re.search(r"[a-z]-$", left) and right[:1].islower():
        return left[:-1] + right
    return f"{left} {right}"


def _body_size(pages: Sequence[Sequence[Block]]) -> float:
    """Return the size of the font that sets the most characters."""
    counts: Counter[float] = Counter()
    for page in pages:
        for block in page:
            for line in block.lines if block.kind == "text" else ():
                counts[line.size] += len(line.text)
    return counts.most_common(1)[0][0] if counts else 0.0


def _heading_levels(pages: Sequence[Sequence[Block]], body: float) -> dict[float, int]:
    """Return the level of each size that headings are set in: the largest is 1."""
    sizes = {
        block.lines[0].size
        for page in pages
        for block in page
        if block.kind == "text" and block.lines[0].size >= HEADING_RATIO * body and _may_be_heading(block)
    }
    return {size: min(level, MAX_HEADING_LEVEL) for level, size in enumerate(sorted(sizes, reverse=True), start=1)}


def _may_be_heading(block: Block) -> bool:
    text = " ".join(line.text for line in block.lines)
    is_short = len(block.lines) <= MAX_HEADING_LINES and 2 < len(text) <= MAX_HEADING_CHARACTERS
    n_letters = sum(character.isalpha() for character in text)
    is_sentence = text.rstrip().endswith((".", ",", ";")) and not _NUMBERED.match(text)
    return is_short and n_letters > 0.4 * len(text) and not is_sentence and all(map(_is_one_text, block.lines))


def _is_one_text(line: Line) -> bool:
    """Say whether a line is no row of cells: one segment, or one behind its number."""
    n = len(line.segments)
    return n == 1 or (n == 2 and _NUMBER.fullmatch(line.segments[0].text) is not None)


def _running_lines(pages: Sequence[Sequence[Block]]) -> set[str]:
    """Return the heads and feet that the pages repeat, with digits as `#`."""
    if len(pages) < MIN_RUNNING_PAGES:
        return set()
    counts: Counter[str] = Counter()
    for page in pages:
        counts.update({_without_digits(line.text) for line in _edge_lines(page)})
    return {text for text, n in counts.items() if n >= max(MIN_RUNNING_PAGES, RUNNING_SHARE * len(pages))}


def _edge_lines(page: Sequence[Block]) -> list[Line]:
    """Return the lines at the top and the bottom of a page, where heads and feet stand."""
    lines = [line for block in page for line in block.lines if block.kind == "text"]
    if len(lines) < MIN_LINES_BESIDE:
        return []
    lines.sort(key=lambda line: line.middle)
    n = 2 if len(lines) >= MIN_FULL_LINES else 1
    return [*lines[:n], *lines[-n:]]


def _without_digits(text: str) -> str:
    return re.sub(r"\d+", "#", text)


def _page_text(page: Sequence[Block], levels: dict[float, int], running: set[str]) -> str:
    texts: list[str] = []
    heads = {id(line) for line in _edge_lines(page) if _without_digits(line.text) in running}
    for number, block in enumerate(page):
        if block.kind == "table":
            texts.append(block.table)
            continue
        lines = [line for line in block.lines if id(line) not in heads]
        is_edge = number in (0, len(page) - 1)
        if not lines or (is_edge and len(lines) == 1 and _PAGE_NUMBER.fullmatch(lines[0].text)):
            continue
        level = _level(block, levels)
        if level:
            texts.append(f"{'#' * level} {' '.join(line.text for line in lines)}")
        else:
            texts.append(joined(lines, block.right))
    return "\n\n".join(texts)


def _level(block: Block, levels: dict[float, int]) -> int:
    """Return the level of a heading, 0 for text: by its size, or by its number if it is bold and numbered."""
    if not _may_be_heading(block):
        return 0
    if level := levels.get(block.lines[0].size, 0):
        return level
    numbered = _NUMBERED.match(block.lines[0].text)
    is_bold = all(segment.is_bold for line in block.lines for segment in line.segments)
    if numbered and is_bold and len(block.lines) <= 2:
        return min(MAX_HEADING_LEVEL, 2 + numbered[1].count("."))
    return 0
