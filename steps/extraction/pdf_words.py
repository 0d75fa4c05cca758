"""The words of a PDF page with their places, from pdfium's characters; words of one line and column are a segment.

Measured on 19 readable PDFs (`benchmarks/results/extraction.md`): pdfium gives characters with boxes many times faster
than pdfminer does, and opens more of the damaged files.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

#: Two words on one line with a gap wider than this, in line heights, stand in two columns. The widest space of
#: justified text measured in two-column papers is 0.8; their gutters are 1.5 and more.
COLUMN_GAP = 1.1
#: Words whose middles differ by more than this share of the line height stand on two lines.
SAME_LINE = 0.45
#: A gap within a word that was set without a space, in line heights.
WORD_GAP = 0.18
#: Characters of a page; more is a drawing made of letters.
MAX_CHARACTERS = 200_000


#: x0, x1, top and bottom.
_Box = tuple[float, float, float, float]


@dataclass
class Segment:
    """Words that stand on one line without a wide gap; y grows downwards, units are points."""

    x0: float
    x1: float
    top: float
    bottom: float
    words: list[str] = field(default_factory=list)
    spans: list[tuple[float, float]] = field(default_factory=list)  # x0 and x1 of each word
    size: float = 0.0  # of the font, in points
    is_bold: bool = False
    table: str = ""  # a ruled table, which stands for the words within its frame

    @property
    def text(self) -> str:
        """The words with single spaces."""
        return " ".join(self.words)

    @property
    def height(self) -> float:
        """Height of the line, which grows with the size of the font."""
        return self.bottom - self.top

    @property
    def middle(self) -> float:
        """Half height."""
        return (self.top + self.bottom) / 2


@dataclass
class _Word:
    x0: float
    x1: float
    top: float
    bottom: float
    text: str
    size: float
    is_bold: bool


def segments_of(page: Any) -> list[Segment]:
    """Return the segments of a pdfium page, in the order in which the file draws them.

    Text that is turned (marginal notes, watermarks) is left out unless it is most of the page.
    """
    text_page = page.get_textpage()
    try:
        words = list(_words(text_page, page.get_height()))
    finally:
        text_page.close()
    segments: list[Segment] = []
    for word in words:
        last = segments[-1] if segments else None
        if last is not None and _continues(last, word):
            last.x1, last.top, last.bottom = (
                max(last.x1, word.x1),
                min(last.top, word.top),
                max(last.bottom, word.bottom),
            )
            last.words.append(word.text)
            last.spans.append((word.x0, word.x1))
            last.size = max(last.size, word.size)
            last.is_bold = last.is_bold and word.is_bold
        else:
            spans = [(word.x0, word.x1)]
            box = (word.x0, word.x1, word.top, word.bottom)
            segments.append(Segment(*box, [word.text], spans, word.size, word.is_bold))
    return _merged(segments)


def _continues(last: Segment, word: _Word) -> bool:
    height = max(last.height, word.bottom - word.top)
    middle = (word.top + word.bottom) / 2
    gap = word.x0 - last.x1
    return abs(middle - last.middle) < SAME_LINE * height and -0.5 * height < gap < COLUMN_GAP * height


def _merged(segments: list[Segment]) -> list[Segment]:
    """Merge segments of one line that the file draws out of order (letters placed one by one, bold words last)."""
    segments.sort(key=lambda segment: (round(segment.middle, 1), segment.x0))
    merged: list[Segment] = []
    for segment in segments:
        for last in reversed(merged[-6:]):
            word = _Word(segment.x0, segment.x1, segment.top, segment.bottom, "", segment.size, segment.is_bold)
            if _continues(last, word) and 0.6 < segment.height / max(last.height, 0.1) < 1.7:
                last.x1, last.top, last.bottom = (
                    segment.x1,
                    min(last.top, segment.top),
                    max(last.bottom, segment.bottom),
                )
                last.words += segment.words
                last.spans += segment.spans
                last.size = max(last.size, segment.size)
                last.is_bold = last.is_bold and segment.is_bold
                break
        else:
            merged.append(segment)
    return merged


def _words(text_page: Any, page_height: float) -> Iterator[_Word]:
    """Yield the words: pdfium's own spaces end them, and wide gaps where a file sets none."""
    current: _Word | None = None
    for character, box, font in _characters(text_page, page_height):
        if character.isspace() or box is None:
            if current is not None:
                yield current
                current = None
            continue
        x0, x1, top, bottom = box
        if current is not None:
            height = max(1.0, bottom - top)
            is_apart = x0 - current.x1 > WORD_GAP * height or x0 < current.x0 - height
            if is_apart or abs((top + bottom) - (current.top + current.bottom)) / 2 > SAME_LINE * height:
                yield current
                current = None
        if current is None:
            current = _Word(x0, x1, top, bottom, character, *font)
        else:
            current.text += character
            current.x1 = max(current.x1, x1)
            current.top, current.bottom = min(current.top, top), max(current.bottom, bottom)
    if current is not None:
        yield current


def _characters(text_page: Any, page_height: float) -> Iterator[tuple[str, _Box | None, tuple[float, bool]]]:
    """Yield each character, its box (none for the spaces that pdfium adds), the size of its font and if it is bold."""
    import pypdfium2.raw as pdfium

    n = min(text_page.count_chars(), MAX_CHARACTERS)
    turned = [pdfium.FPDFText_GetCharAngle(text_page, index) for index in range(n)]
    upright = [abs(angle) < 0.1 or abs(angle - 6.2832) < 0.1 for angle in turned]
    all_turned = sum(upright) * 2 < n
    box = pdfium.FS_RECTF()
    pointer = ctypes.byref(box)
    high = 0
    for index in range(n):
        code = pdfium.FPDFText_GetUnicode(text_page, index)
        if 0xD800 <= code < 0xDC00:  # pdfium gives characters beyond the first plane as two halves
            high = code
            continue
        if high and 0xDC00 <= code < 0xE000:
            code = 0x10000 + ((high - 0xD800) << 10) + (code - 0xDC00)
        high = 0
        if code in (0, 0xFFFE, 0xFFFF) or not (upright[index] or all_turned):
            continue
        character = "-" if code == 2 else chr(code)  # pdfium's mark of a hyphen at the end of a line
        if pdfium.FPDFText_IsGenerated(text_page, index) == 1 and code != 2:
            yield " ", None, (0.0, False)
        elif pdfium.FPDFText_GetLooseCharBox(text_page, index, pointer):
            place = (box.left, box.right, page_height - box.top, page_height - box.bottom)
            yield character, place, _font(text_page, index)


def _font(text_page: Any, index: int) -> tuple[float, bool]:
    """Return the size of a character's font on the page, and if it is bold."""
    import pypdfium2.raw as pdfium

    matrix, name, flags = pdfium.FS_MATRIX(), ctypes.create_string_buffer(128), ctypes.c_int()
    pdfium.FPDFText_GetMatrix(text_page, index, ctypes.byref(matrix))
    pdfium.FPDFText_GetFontInfo(text_page, index, name, 128, ctypes.byref(flags))
    size = pdfium.FPDFText_GetFontSize(text_page, index) * math.hypot(matrix.c, matrix.d)
    lower = name.value.lower()
    return size, b"bold" in lower or b"black" in lower or b"semibold" in lower
