"""The layout of a PDF page: columns in reading order, lines, and tables without rules."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from steps.extraction.parts import markdown_table
from steps.extraction.pdf_words import Segment

#: Both columns of text have at least this many lines, and this many characters a line; less is a table or a form.
MIN_COLUMN_LINES = 4
MIN_COLUMN_CHARACTERS = 18
#: Columns are looked for between these shares of the width.
GUTTER_RANGE = (0.25, 0.75)
#: Columns nested deeper than this are none.
MAX_DEPTH = 3
#: A table without rules has at least this many rows; of two columns only, nearly all rows must fill both.
MIN_TABLE_ROWS = 3
MIN_PAIR_SHARE = 0.75
#: In a table of this many rows, a channel that all words keep clear of parts two columns; it is this wide, in heights.
MIN_WORD_ROWS = 4
WORD_CHANNEL = 0.5
_MARKER = re.compile(r"(?:[•‣◦▪●∙·–—*-]|\(?[\dA-Za-z]{0,3}(?:\.\d{1,2}){0,3}[.)]?)?")
#: Lines further apart than this, in heights of a line from middle to middle, are two paragraphs, if that is also
#: wider than the text's own line spacing by the second figure.
PARAGRAPH_GAP = 1.4
WIDER_THAN_USUAL = 1.25


class Line(NamedTuple):
    """One line of a column: its segments from left to right."""

    segments: tuple[Segment, ...]

    @property
    def text(self) -> str:
        """The words of all segments, as they are read."""
        runs_left = 2 * sum(segment.is_right_to_left for segment in self.segments) > len(self.segments)
        return " ".join(segment.text for segment in (reversed(self.segments) if runs_left else self.segments))

    @property
    def height(self) -> float:
        """Height of the line's largest segment."""
        return max(segment.height for segment in self.segments)

    @property
    def size(self) -> float:
        """Size of the largest font, in half points."""
        return round(max(segment.size for segment in self.segments) * 2) / 2

    @property
    def middle(self) -> float:
        """Half height, on average."""
        return sum(segment.middle for segment in self.segments) / len(self.segments)


class Block(NamedTuple):
    """Lines that belong together (`kind` text), or the Markdown of a table."""

    kind: str
    lines: tuple[Line, ...]
    table: str = ""
    right: float = 0.0  # where the lines of its column end


def blocks_of(segments: Sequence[Segment]) -> list[Block]:
    """Return the blocks of a page in reading order; a table's frame is a segment of its own."""
    blocks: list[Block] = []
    for column in _columns(list(segments)):
        right = max(segment.x1 for segment in column)
        blocks += [block._replace(right=right) for block in _blocks(_lines(column))]
    return blocks


def _columns(segments: list[Segment], depth: int = 0) -> list[list[Segment]]:
    """Cut a page into columns: between the segments that span its gutter, left stands before right."""
    gutter = _gutter(segments) if depth < MAX_DEPTH else None
    if gutter is None:
        return [segments] if segments else []
    ordered: list[list[Segment]] = []
    spanning: list[Segment] = []
    left: list[Segment] = []
    right: list[Segment] = []
    for segment in sorted(segments, key=lambda segment: segment.middle):
        if segment.x0 < gutter < segment.x1:
            if left or right:
                ordered += _beside(left, right, depth)
                left, right = [], []
            spanning.append(segment)
            continue
        if spanning:
            ordered.append(spanning)
            spanning = []
        (left if segment.x1 <= gutter else right).append(segment)
    return ordered + ([spanning] if spanning else []) + _beside(left, right, depth)


def _beside(left: list[Segment], right: list[Segment], depth: int) -> list[list[Segment]]:
    """Return two columns one after the other, or as one if they are not both columns of text."""
    if not (_is_column(left) and _is_column(right)):
        both = left + right
        return [both] if both else []
    return _columns(left, depth + 1) + _columns(right, depth + 1)


def _gutter(segments: list[Segment]) -> float | None:
    """Return the x that the most lines on both sides keep clear of, None for a page of one column."""
    if len(segments) < 2 * MIN_COLUMN_LINES:
        return None
    x0, x1 = min(segment.x0 for segment in segments), max(segment.x1 for segment in segments)
    candidates = sorted({round(segment.x0 - 2) for segment in segments})
    best, best_count = None, 0
    for x in candidates:
        if not x0 + GUTTER_RANGE[0] * (x1 - x0) < x < x0 + GUTTER_RANGE[1] * (x1 - x0):
            continue
        left = [segment for segment in segments if segment.x1 <= x]
        right = [segment for segment in segments if segment.x0 >= x]
        n_crossing = len(segments) - len(left) - len(right)
        count = min(len(left), len(right)) - n_crossing
        if count > best_count and _is_column(left) and _is_column(right):
            best, best_count = float(x), count
    return best


def _is_column(segments: list[Segment]) -> bool:
    texts = [len(segment.text) for segment in segments if not segment.table]
    return len(texts) >= MIN_COLUMN_LINES and median(texts) >= MIN_COLUMN_CHARACTERS


def _lines(segments: list[Segment]) -> list[Line]:
    """Gather the segments of a column into lines, from top to bottom."""
    rows: list[list[Segment]] = []
    for segment in sorted(segments, key=lambda segment: segment.middle):
        row = rows[-1] if rows else None
        if row and not segment.table and not row[0].table:
            middle = sum(other.middle for other in row) / len(row)
            overlaps = any(other.x0 < segment.x1 - 1 and segment.x0 < other.x1 - 1 for other in row)
            if abs(segment.middle - middle) < 0.5 * min(segment.height, row[0].height) and not overlaps:
                row.append(segment)
                continue
        rows.append([segment])
    return [Line(tuple(sorted(row, key=lambda segment: segment.x0))) for row in rows]


def _blocks(lines: list[Line]) -> list[Block]:
    """Cut lines into tables and paragraphs."""
    blocks: list[Block] = []
    run: list[Line] = []
    number = 0
    while number < len(lines):
        if lines[number].segments[0].table:
            blocks += [*_paragraphs(run), Block("table", (lines[number],), lines[number].segments[0].table)]
            run = []
            number += 1
            continue
        n_rows, table = _table_at(lines, number)
        if n_rows:
            blocks += [*_paragraphs(run), Block("table", tuple(lines[number : number + n_rows]), table)]
            run = []
            number += n_rows
        else:
            run.append(lines[number])
            number += 1
    return [*blocks, *_paragraphs(run)]


def _paragraphs(lines: list[Line]) -> list[Block]:
    """Cut lines where the gap is wider than the usual one, or the font changes its size."""
    if not lines:
        return []
    gaps = [below.middle - above.middle for above, below in pairwise(lines)]
    sizes = [max(1.0, line.size) for line in lines]
    usual = median(gaps) if gaps else 0.0
    blocks = []
    start = 0
    for number, gap in enumerate(gaps, start=1):
        is_apart = (
            gap > PARAGRAPH_GAP * min(line.height for line in lines[number - 1 : number + 1])
            and gap > WIDER_THAN_USUAL * usual
        )
        ratio = sizes[number] / sizes[number - 1]
        if is_apart or not 0.87 < ratio < 1.15 or gap < 0:
            blocks.append(Block("text", tuple(lines[start:number])))
            start = number
    return [*blocks, Block("text", tuple(lines[start:]))]


def _table_at(lines: list[Line], start: int) -> tuple[int, str]:
    """Return how many lines from `start` on are a table without rules, and its Markdown; 0 for none."""
    stop = start
    while stop < len(lines) and _is_row(lines, start, stop):
        stop += 1
    while stop > start and len(lines[stop - 1].segments) < 2:
        stop -= 1
    rows = lines[start:stop]
    if len(rows) < MIN_TABLE_ROWS or len(rows[0].segments) < 2:
        return 0, ""
    columns = _spans(rows, by_word=len(rows) >= MIN_WORD_ROWS)
    full = sum(len(row.segments) >= 2 for row in rows)
    if len(columns) < 2 or full < MIN_TABLE_ROWS or (len(columns) == 2 and full < MIN_PAIR_SHARE * len(rows)):
        return 0, ""
    cells = [[_cell(row, column) for column in columns] for row in rows]
    if all(_MARKER.fullmatch(cell) for row in cells for cell in row[:-1]):
        return 0, ""  # numbers and bullets before hanging text
    return len(rows), markdown_table(cells)


def _is_row(lines: list[Line], start: int, number: int) -> bool:
    """Say whether a line goes on with the table: several segments, or one that fills a cell of it."""
    line = lines[number]
    if line.segments[0].table or line.height > 1.6 * lines[start].height:
        return False
    if number > start and line.middle - lines[number - 1].middle > 4.0 * line.height:
        return False
    if len(line.segments) > 1:
        return True
    columns = _spans(lines[start:number])
    inside = [column for column in columns if line.segments[0].x1 > column[0] and line.segments[0].x0 < column[1]]
    return number > start and len(columns) > 2 and len(inside) == 1 and line.segments[0].x0 >= inside[0][0] - 3


def _spans(rows: Sequence[Line], by_word: bool = False) -> list[tuple[float, float]]:
    """Return the columns: the union of the rows' segments (or words), with what overlaps as one."""
    spans = [
        span
        for row in rows
        for segment in row.segments
        for span in (segment.spans if by_word else [(segment.x0, segment.x1)])
    ]
    gap = WORD_CHANNEL * median(row.height for row in rows) if by_word else 0.0
    merged: list[tuple[float, float]] = []
    for x0, x1 in sorted(spans):
        if merged and x0 < merged[-1][1] + gap:
            merged[-1] = (merged[-1][0], max(merged[-1][1], x1))
        else:
            merged.append((x0, x1))
    return merged


def _cell(row: Line, column: tuple[float, float]) -> str:
    words = ((word, span) for segment in row.segments for word, span in zip(segment.words, segment.spans, strict=True))
    return " ".join(word for word, span in words if column[0] - 0.1 <= (span[0] + span[1]) / 2 <= column[1] + 0.1)
