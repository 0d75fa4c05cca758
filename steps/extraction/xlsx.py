"""XLSX: a heading and a Markdown table per sheet; formulas by the values that were saved with them."""

from __future__ import annotations

import datetime
import io
import warnings
from collections.abc import Iterator
from typing import Any

from steps.extraction.archives import open_archive, refuse_entities
from steps.extraction.office import core_title
from steps.extraction.parts import assemble, markdown_table
from steps.extraction.reasons import ExtractDrop, UnusableError
from steps.extraction.text import Extracted

#: Rows and columns of a sheet that become text. A larger sheet is data, not a document: a source of type `dataset`.
MAX_ROWS = 5_000
MAX_COLUMNS = 100
#: Rows that are looked at for the first with a value; sheets may claim a million empty rows.
MAX_EMPTY_ROWS = 50_000


def read_xlsx(content: bytes) -> Extracted:
    """Read a workbook, sheet by sheet; its title is that of its properties.

    Raises:
        UnusableError: `broken_office_file`, `no_text_in_file`, `too_large_text` for a sheet beyond `MAX_ROWS`,
            `archive_bomb`, `hostile_xml`, `encrypted_file`.
    """
    from openpyxl import load_workbook

    archive = open_archive(content, ExtractDrop.BROKEN_OFFICE_FILE)
    if "xl/workbook.bin" in archive.namelist():
        raise UnusableError(ExtractDrop.OLD_OFFICE_FILE, "a binary workbook (XLSB); save it as XLSX")
    refuse_entities(archive, ExtractDrop.BROKEN_OFFICE_FILE)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # openpyxl warns about each extension that it does not know
            book = load_workbook(io.BytesIO(content), read_only=True, data_only=True, keep_links=False)
            parts = [part for sheet in book.worksheets if (part := _sheet(sheet))]
            n_sheets = len(book.worksheets)
            book.close()
    except UnusableError:
        raise
    except Exception as error:  # openpyxl fails in any way on a damaged part: KeyError, ParseError, ValueError, …
        raise UnusableError(ExtractDrop.BROKEN_OFFICE_FILE, f"{type(error).__name__}: {error}"[:200]) from None
    return assemble(parts, core_title(archive), ExtractDrop.NO_TEXT_IN_FILE, f"{n_sheets} sheets without a value")


def _sheet(sheet: Any) -> tuple[str, str] | None:
    rows = list(_rows(sheet))
    while rows and not any(rows[-1]):
        rows.pop()
    if not rows:
        return None
    used = [column for column in range(max(map(len, rows))) if any(column < len(row) and row[column] for row in rows)]
    table = [[row[column] if column < len(row) else "" for column in used] for row in rows if any(row)]
    return f"sheet {sheet.title}", f"## {sheet.title}\n\n{markdown_table(table)}"


def _rows(sheet: Any) -> Iterator[list[str]]:
    """Yield the rows up to the last with a value, as text.

    Raises:
        UnusableError: `too_large_text`.
    """
    n_rows = 0
    if hasattr(sheet, "reset_dimensions"):
        sheet.reset_dimensions()  # what a sheet claims to span may be wrong, in both directions
    for number, row in enumerate(sheet.iter_rows(values_only=True)):
        values = [_value(value) for value in row[:MAX_COLUMNS]]
        if len(row) > MAX_COLUMNS and any(value is not None for value in row[MAX_COLUMNS:]):
            raise UnusableError(
                ExtractDrop.TOO_LARGE_TEXT,
                f"sheet {sheet.title}: more than {MAX_COLUMNS} columns; read it as a dataset",
            )
        if any(values):
            n_rows += 1
            if n_rows > MAX_ROWS:
                raise UnusableError(
                    ExtractDrop.TOO_LARGE_TEXT, f"sheet {sheet.title}: more than {MAX_ROWS} rows; read it as a dataset"
                )
            yield values
        elif number > MAX_EMPTY_ROWS + n_rows:
            raise UnusableError(
                ExtractDrop.TOO_LARGE_TEXT, f"sheet {sheet.title}: more than {MAX_EMPTY_ROWS} empty rows"
            )


def _value(value: object) -> str:
    """Write a cell's value: whole numbers without a point, midnights as dates."""
    if value is None:
        return ""
    if isinstance(value, datetime.datetime):
        at_midnight = value.time() == datetime.time()
        return value.date().isoformat() if at_midnight else value.isoformat(sep=" ", timespec="minutes")
    if isinstance(value, float):
        return f"{value:.15g}"
    return " ".join(str(value).split())
