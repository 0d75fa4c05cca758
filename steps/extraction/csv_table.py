"""CSV and TSV that a source of documents includes: one Markdown table."""

from __future__ import annotations

import csv
import io

from steps.extraction.parts import assemble, markdown_table
from steps.extraction.reasons import ExtractDrop, UnusableError
from steps.extraction.repairs import added
from steps.extraction.text import Extracted, decode_counted

#: Rows and columns that become text. A larger file is data, not a document: a source of type `dataset`.
MAX_ROWS = 5_000
MAX_COLUMNS = 100
DELIMITERS = ",;\t|"
#: Characters from which the delimiter is told.
SAMPLE_CHARACTERS = 64_000


def read_csv(content: bytes) -> Extracted:
    """Read a table; the delimiter is the one of comma, semicolon, tab and bar that splits the rows most evenly.

    Raises:
        UnusableError: if it is empty, binary, of no known encoding, or `too_large_text`.
    """
    text, repairs = decode_counted(content)
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(text), delimiter=delimiter_of(text)):
            if any(value.strip() for value in row):
                rows.append(row)
            if len(rows) > MAX_ROWS or len(row) > MAX_COLUMNS:
                raise UnusableError(
                    ExtractDrop.TOO_LARGE_TEXT,
                    f"more than {MAX_ROWS} rows or {MAX_COLUMNS} columns; read it as a dataset",
                )
    except csv.Error as error:  # a field beyond the limit: an open quote
        raise UnusableError(ExtractDrop.TOO_LARGE_TEXT, f"csv: {error}; is a quote left open?") from None
    read = assemble([("table", markdown_table(rows))], None, ExtractDrop.EMPTY_FILE, "no value")
    return read._replace(repairs=added([repairs, read.repairs]), offset_map=())


def delimiter_of(text: str) -> str:
    r"""Return the delimiter whose count is above zero and the same in most lines.

    >>> delimiter_of("a;b\n1,5;2\n"), delimiter_of("one column\n")
    (';', ',')
    """
    sample = text[:SAMPLE_CHARACTERS]
    best, best_score = ",", (0.0, 0)
    for delimiter in DELIMITERS:
        widths = [len(row) for row in csv.reader(io.StringIO(sample), delimiter=delimiter) if row]
        common = max(set(widths), key=widths.count, default=1)
        if common > 1 and (score := (widths.count(common) / len(widths), common)) > best_score:
            best, best_score = delimiter, score
    return best
