"""What has been read so far: Arrow batches rather than an object per row, and the reasons of what cannot be used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pyarrow as pa

from steps.extraction.document_columns import with_languages
from steps.extraction.reasons import UnusableError
from steps.extraction.text import repair
from steps.ledger import Drops, check_books, check_drop_fraction, ledger_of
from steps.rows import DOCUMENTS, EXAMPLES, PREFERENCES, content_id, table
from steps.tables import Spill

STAGE = "extract"
#: Rows that wait as Python objects until they become a batch.
BATCH_ROWS = 10_000


class Extraction(NamedTuple):
    """What was read: schemas `DOCUMENTS`, `EXAMPLES`, `PREFERENCES` and `LEDGER`."""

    documents: pa.Table
    examples: pa.Table
    preferences: pa.Table
    ledger: pa.Table


class Batches:
    """A table that grows by rows and by tables, in the order in which they come.

    Args:
        schema: Its schema.
        finish: What is done to rows that were added one by one, a batch at a time.
    """

    def __init__(self, schema: pa.Schema, finish: Callable[[pa.Table], pa.Table] = lambda rows: rows) -> None:
        self._schema, self._finish = schema, finish
        self._waiting: list[dict[str, Any]] = []
        self._spill = Spill(schema)

    def add(self, row: dict[str, Any]) -> None:
        """Add one row."""
        self._waiting.append(row)
        if len(self._waiting) >= BATCH_ROWS:
            self._flush()

    def add_table(self, rows: pa.Table) -> None:
        """Add the rows of a table of the same schema."""
        self._flush()
        self._spill.append(rows)

    def close(self) -> pa.Table:
        """Return all rows, from a memory-mapped file where there are many."""
        self._flush()
        return self._spill.table()

    def _flush(self) -> None:
        if self._waiting:
            self._spill.append(self._finish(table(self._waiting, self._schema)))
            self._waiting = []


class Books:
    """Documents, examples and preferences that were made, and what was dropped."""

    def __init__(self) -> None:
        self.documents = Batches(DOCUMENTS, with_languages)
        self.examples = Batches(EXAMPLES)
        self.preferences = Batches(PREFERENCES)
        self._drops = Drops(STAGE)

    def drop(self, source: str, path: str, row: int | None, error: UnusableError, line: int | None = None) -> None:
        """Note why a file or a row cannot be used; the detail begins with its place."""
        place = path if row is None else f"{path}:{row}"
        said = ": ".join(part for part in (f"line {line}" if line else "", repair(error.detail)) if part)
        self._drops.add(
            content_id("unusable", source, path, row), error.reason, detail=f"{place} ({said})" if said else place
        )

    def close(self, max_drop_fraction: float) -> Extraction:
        """Write the ledger and check it.

        Raises:
            LedgerError: if the books do not balance.
            DropLimitError: if more than `max_drop_fraction` is unusable.
        """
        made = (self.documents.close(), self.examples.close(), self.preferences.close())
        dropped = self._drops.table()
        chunks = [chunk for found in (*(rows["id"] for rows in made), dropped["row_id"]) for chunk in found.chunks]
        ids = pa.chunked_array(chunks, pa.string())
        ledger = ledger_of(STAGE, ids, dropped)
        check_books(STAGE, len(ids), sum(rows.num_rows for rows in made), ledger)
        check_drop_fraction(ledger, max_drop_fraction)
        return Extraction(*made, ledger)
