"""Tables with rules, found by pdfplumber on the pages that draw lines; all other pages never wait for it."""

from __future__ import annotations

import io
from typing import Any, NamedTuple

from steps.extraction.parts import markdown_table
from steps.extraction.pdf_words import Segment

#: Lines and boxes that a ruled table needs at least, and beyond which a page is a drawing.
MIN_PATHS = 4
MAX_PATHS = 3_000
#: A cell with so many lines and so large a share of the characters is a frame around text and tables without rules.
FRAME_LINES = 6
FRAME_SHARE = 0.4
#: A grid with fewer filled cells is a frame around text, not a table.
MIN_FILLED_SHARE = 0.4
MIN_ROWS = 2


class Ruled(NamedTuple):
    """A table's frame, in points from the top left, and its Markdown."""

    x0: float
    top: float
    x1: float
    bottom: float
    markdown: str


class TableFinder:
    """pdfplumber on the same file, opened when the first page with rules comes."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._document: Any = None

    def tables(self, page: Any, number: int) -> list[Ruled]:
        """Return the ruled tables of a page (a pdfium page and its number from 0)."""
        if page.get_rotation() or not MIN_PATHS <= _count_paths(page) <= MAX_PATHS:
            return []
        import pdfplumber

        try:
            if self._document is None:
                self._document = pdfplumber.open(io.BytesIO(self._content))
            found = self._document.pages[number]
            tables = [_ruled(table) for table in found.find_tables()]
            found.close()
        except Exception:  # pdfminer fails in any way on files that pdfium repairs; the words are read in any case
            return []
        return [table for table in tables if table is not None]

    def close(self) -> None:
        """Close the file."""
        if self._document is not None:
            self._document.close()


def with_tables(segments: list[Segment], tables: list[Ruled]) -> list[Segment]:
    """Put each table in the place of the words within its frame."""
    for table in tables:
        inside = [segment for segment in segments if _is_inside(segment, table)]
        if inside:
            segments = [segment for segment in segments if not _is_inside(segment, table)]
            frame = Segment(table.x0, table.x1, table.top, table.bottom, [word for one in inside for word in one.words])
            frame.table = table.markdown
            segments.append(frame)
    return segments


def _is_inside(segment: Segment, table: Ruled) -> bool:
    middle = (segment.x0 + segment.x1) / 2
    return (
        not segment.table
        and table.x0 - 2 <= middle <= table.x1 + 2
        and table.top - 2 <= segment.middle <= table.bottom + 2
    )


def _ruled(table: Any) -> Ruled | None:
    rows = [["" if cell is None else cell for cell in row] for row in table.extract()]
    rows = [row for row in rows if any(cell.strip() for cell in row)]
    width = max(map(len, rows), default=0)
    used = [column for column in range(width) if any(row[column].strip() for row in rows)]
    filled = sum(bool(row[column].strip()) for row in rows for column in used)
    if sum(sum(bool(cell.strip()) for cell in row) > 1 for row in rows) < MIN_ROWS or _is_frame(rows):
        return None
    if len(used) < 2 or filled < MIN_FILLED_SHARE * len(rows) * len(used):
        return None
    x0, top, x1, bottom = table.bbox
    return Ruled(x0, top, x1, bottom, markdown_table([[row[column] for column in used] for row in rows]))


def _is_frame(rows: list[list[str]]) -> bool:
    n_characters = sum(len(cell) for row in rows for cell in row)
    return any(
        cell.count("\n") >= FRAME_LINES and len(cell) > FRAME_SHARE * n_characters for row in rows for cell in row
    )


def _count_paths(page: Any) -> int:
    import pypdfium2.raw as pdfium

    n = 0
    for item in page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_PATH], max_depth=4):
        n += 1
        if n > MAX_PATHS:
            break
        del item
    return n
