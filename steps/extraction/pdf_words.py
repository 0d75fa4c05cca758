"""The words of a PDF page with their places, from pdfium's characters; words of one line and column are a segment.

Measured on 19 readable PDFs (`benchmarks/results/extraction.md`): pdfium gives characters with boxes many times faster
than pdfminer does, and opens more of the damaged files.
"""

from __future__ import annotations

import ctypes
import math
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

#: Two words on one line with a gap wider than this, in line heights, stand in two columns. The widest space of
#: justified text measured in two-column papers is 0.8; their gutters are 1.5 and more.
COLUMN_GAP = 1.1
#: Words whose middles differ by more than this share of the line height stand on two lines.
SAME_LINE = 0.45
#: A gap that parts two words where the file has no space, in line heights; less where pdfium adds a space, which alone
#: is no proof: scanned pages with letters placed one by one would fall into pieces.
WORD_GAP = 0.18
WORD_GAP_WITH_SPACE = 0.15
ADDED_SPACE = "\x00"
#: Segments above that are looked at for the beginning of a line.
NEAR_SEGMENTS = 6
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

    def extend(self, following: Segment) -> None:
        """Take in words that follow on the line."""
        self.x0, self.x1 = min(self.x0, following.x0), max(self.x1, following.x1)
        self.top, self.bottom = min(self.top, following.top), max(self.bottom, following.bottom)
        self.words += following.words
        self.spans += following.spans
        self.size = max(self.size, following.size)
        self.is_bold = self.is_bold and following.is_bold

    @property
    def is_right_to_left(self) -> bool:
        """Whether the text is Arabic, Hebrew or another script that runs to the left."""
        return any(map(is_right_to_left, self.words[-1][-1:])) if self.words else False

    @property
    def height(self) -> float:
        """Height of the line, which grows with the size of the font."""
        return self.bottom - self.top

    @property
    def middle(self) -> float:
        """Half height."""
        return (self.top + self.bottom) / 2


def segments_of(page: Any) -> list[Segment]:
    """Return the segments of a pdfium page, in the order in which the file draws them.

    Text that is turned (marginal notes, watermarks) is left out unless it is most of the page.
    """
    text_page = page.get_textpage()
    try:
        words = list(_words(text_page, page.get_mediabox()))
    finally:
        text_page.close()
    segments: list[Segment] = []
    for word in words:
        if segments and _continues(segments[-1], word):
            segments[-1].extend(word)
        else:
            segments.append(word)
    return _merged(segments)


def _continues(last: Segment, following: Segment) -> bool:
    height = max(last.height, following.height)
    gap = last.x0 - following.x1 if last.is_right_to_left else following.x0 - last.x1
    return abs(following.middle - last.middle) < SAME_LINE * height and -0.5 * height < gap < COLUMN_GAP * height


def _merged(segments: list[Segment]) -> list[Segment]:
    """Merge segments of one line that the file draws out of order (letters placed one by one, bold words last)."""
    segments.sort(key=lambda segment: (round(segment.middle, 1), segment.x0))
    merged: list[Segment] = []
    for segment in segments:
        for last in reversed(merged[-NEAR_SEGMENTS:]):
            if _continues(last, segment) and 0.6 < segment.height / max(last.height, 0.1) < 1.7:
                last.extend(segment)
                break
        else:
            merged.append(segment)
    return merged


def is_right_to_left(character: str) -> bool:
    """Say whether a letter belongs to a script that runs to the left."""
    return character > "\u0590" and unicodedata.bidirectional(character) in ("R", "AL")


def _words(text_page: Any, page_box: _Box) -> Iterator[Segment]:
    """Yield the words, each a segment: spaces end them, and gaps where a file sets none."""
    current: Segment | None = None
    text = ""
    has_space = False
    for character, box, index in _characters(text_page, page_box):
        has_space = has_space or character == ADDED_SPACE
        if character == ADDED_SPACE:
            continue
        gap = WORD_GAP_WITH_SPACE if has_space else WORD_GAP
        if current is not None and (character.isspace() or _is_apart(current, text[-1], box, gap)):
            yield _with_text(current, text)
            current, text = None, ""
        has_space = False
        if character.isspace():
            continue
        if current is None:
            current = Segment(*box, [], [], *_font(text_page, index))
        text += character
        x0, x1, top, bottom = box
        current.x0, current.x1 = min(current.x0, x0), max(current.x1, x1)
        current.top, current.bottom = min(current.top, top), max(current.bottom, bottom)
    if current is not None:
        yield _with_text(current, text)


def _with_text(word: Segment, text: str) -> Segment:
    word.words, word.spans = [text], [(word.x0, word.x1)]
    return word


def _is_apart(word: Segment, last: str, box: _Box, gap: float) -> bool:
    """Say whether a character begins a new word: behind a gap, before the word, or on another line."""
    x0, x1, top, bottom = box
    height = max(1.0, bottom - top)
    if is_right_to_left(last):  # letters come in the order in which they are read
        is_beside = word.x0 - x1 > gap * height or x1 > word.x1 + height
    else:
        is_beside = x0 - word.x1 > gap * height or x0 < word.x0 - height
    return is_beside or abs((top + bottom) - (word.top + word.bottom)) / 2 > SAME_LINE * height


def _characters(text_page: Any, page_box: _Box) -> Iterator[tuple[str, _Box, int]]:
    """Yield the characters that run as most of the page do: each with its box and its number on the page.

    `page_box` is left, bottom, right and top of the page, in points from the bottom left.
    """
    import pypdfium2.raw as pdfium

    n = min(text_page.count_chars(), MAX_CHARACTERS)
    quarters = [round(pdfium.FPDFText_GetCharAngle(text_page, index) / (math.pi / 2)) % 4 for index in range(n)]
    quarter = main_quarter(quarters)
    left, _, _, height = page_box
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
        if code in (0, 0xFFFE, 0xFFFF):
            continue
        character = "-" if code == 2 else chr(code)  # pdfium's mark of a hyphen at the end of a line
        if pdfium.FPDFText_IsGenerated(text_page, index) == 1 and code != 2:
            yield ADDED_SPACE, (0.0, 0.0, 0.0, 0.0), index
            continue
        if quarters[index] == quarter and pdfium.FPDFText_GetLooseCharBox(text_page, index, pointer):
            upright = (box.left - left, box.right - left, height - box.top, height - box.bottom)
            yield character, _turned(upright, quarter), index


def main_quarter(quarters: Sequence[int]) -> int:
    """Return the quarter turn (clockwise) of most characters."""
    return Counter(quarters).most_common(1)[0][0] if quarters else 0


def _turned(box: _Box, quarter: int) -> _Box:
    """Turn a box back, so that its text runs to the right and lines go down; the origin does not matter."""
    x0, x1, top, bottom = box
    if quarter == 1:
        return top, bottom, -x1, -x0
    if quarter == 2:
        return -x1, -x0, -bottom, -top
    if quarter == 3:
        return -bottom, -top, x0, x1
    return box


def _font(text_page: Any, index: int) -> tuple[float, bool]:
    """Return the size of a character's font on the page, and if it is bold."""
    import pypdfium2.raw as pdfium

    matrix, name, flags = pdfium.FS_MATRIX(), ctypes.create_string_buffer(128), ctypes.c_int()
    pdfium.FPDFText_GetMatrix(text_page, index, ctypes.byref(matrix))
    pdfium.FPDFText_GetFontInfo(text_page, index, name, 128, ctypes.byref(flags))
    size = pdfium.FPDFText_GetFontSize(text_page, index) * math.hypot(matrix.c, matrix.d)
    lower = name.value.lower()
    return size, b"bold" in lower or b"black" in lower or b"semibold" in lower
