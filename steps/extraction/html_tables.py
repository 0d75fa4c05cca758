"""The grid of an HTML table: cells that span rows or columns stand in every place that they cover."""

from __future__ import annotations

from typing import Any

from steps.extraction.reasons import ExtractDrop, UnusableError

#: Columns or rows that one cell may span, and cells of one table; beyond, a page attacks its reader.
MAX_SPAN = 200
MAX_CELLS = 200_000


def table_rows(table: Any) -> list[list[Any]]:
    """Return the cells (lxml elements) of a table, row by row; a place that no cell covers is None.

    Raises:
        UnusableError: `too_large_text` above `MAX_CELLS`.
    """
    grid: list[list[Any]] = []
    hanging: dict[int, tuple[int, Any]] = {}  # column: rows still to cover, and the cell
    n_cells = 0
    for row in _rows(table):
        cells: list[Any] = []
        for cell in row.iterchildren("td", "th"):
            _fill(cells, hanging)
            for _ in range(_span(cell, "colspan")):
                if (span := _span(cell, "rowspan")) > 1:
                    hanging[len(cells)] = (span - 1, cell)
                cells.append(cell)
        _fill(cells, hanging)
        own = list(row.iterchildren("td", "th"))
        if grid and len(cells) < len(grid[0]) and all(_span(cell, "rowspan") > 1 for cell in own):
            continue  # nothing but the beginning of a cell that the rows below carry
        n_cells += len(cells)
        if n_cells > MAX_CELLS:
            raise UnusableError(ExtractDrop.TOO_LARGE_TEXT, f"a table of more than {MAX_CELLS} cells")
        grid.append(cells)
    return grid


def _rows(table: Any) -> list[Any]:
    """Return the rows of the table itself, not of tables in its cells."""
    direct = list(table.iterchildren("tr"))
    grouped = [row for group in table.iterchildren("thead", "tbody", "tfoot") for row in group.iterchildren("tr")]
    return direct + grouped


def _fill(cells: list[Any], hanging: dict[int, tuple[int, Any]]) -> None:
    """Put the cells that hang down from rows above."""
    while len(cells) in hanging:
        column = len(cells)
        left, cell = hanging.pop(column)
        if left > 1:
            hanging[column] = (left - 1, cell)
        cells.append(cell)


def _span(cell: Any, name: str) -> int:
    value = cell.get(name) or "1"
    return min(MAX_SPAN, max(1, int(value))) if value.isascii() and value.isdigit() else 1
