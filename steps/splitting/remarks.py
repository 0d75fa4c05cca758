"""Ledgers of stages that also remark upon rows which they keep."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from steps.ledger import StageResult, check_books, ledger_of
from steps.rows import LEDGER
from steps.tables import filter_rows


class Remarks:
    """Collects what a stage has to say about single rows. The first remark on a row stands."""

    def __init__(self, stage: str) -> None:
        self.stage = stage
        self._rows: dict[str, dict[str, Any]] = {}

    def add(self, row_id: str, reason: StrEnum, **evidence: Any) -> None:
        """Remark upon a row; `evidence` are columns of the ledger."""
        self._rows.setdefault(row_id, {"row_id": row_id, "stage": self.stage, "reason": reason.value, **evidence})

    def table(self, decision: str) -> pa.Table:
        """Return the remarks as ledger rows of one decision, `kept` or `dropped`."""
        return pa.Table.from_pylist([row | {"decision": decision} for row in self._rows.values()], schema=LEDGER)


def settle_remarks(stage: str, rows: pa.Table, remarks: pa.Table) -> StageResult:
    """Remove the dropped rows, write the ledger with all remarks, check the books.

    Args:
        stage: Name of the stage.
        rows: Every row that came in, with `id`.
        remarks: Schema `LEDGER`; rows without a remark are kept.

    Raises:
        LedgerError: if the books do not balance.
    """
    gone = remarks.filter(pc.equal(remarks["decision"], "dropped"))["row_id"].combine_chunks()
    kept = filter_rows(rows, pc.invert(pc.is_in(rows["id"], value_set=gone))) if len(gone) else rows
    ledger = ledger_of(stage, rows["id"], remarks)
    check_books(stage, rows.num_rows, kept.num_rows, ledger)
    return StageResult(kept, ledger)
