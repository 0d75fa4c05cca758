"""What each stage kept and dropped, and why: books that must balance.

A stage collects its drops in a `Drops`, then calls `settle`, which removes them from the table, writes one ledger
row for every input row, and refuses to go on if the books do not balance or too much went.
"""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from steps.errors import DropLimitError, LedgerError
from steps.rows import LEDGER


class StageResult(NamedTuple):
    """The outcome of a stage: the rows that go on, and one ledger row per input row."""

    kept: pa.Table
    ledger: pa.Table


class Drops:
    """Collects the rows that a stage drops. The first reason given for a row stands."""

    def __init__(self, stage: str) -> None:
        self.stage = stage
        self._rows: dict[str, dict[str, object]] = {}

    def __contains__(self, row_id: object) -> bool:
        return row_id in self._rows

    def __len__(self) -> int:
        return len(self._rows)

    def add(
        self,
        row_id: str,
        reason: StrEnum,
        *,
        evidence_id: str | None = None,
        score: float | None = None,
        detail: str | None = None,
    ) -> None:
        """Drop a row, with the enum reason and the evidence (the row it duplicates, the keyword, the score)."""
        self._rows.setdefault(
            row_id,
            {
                "row_id": row_id,
                "stage": self.stage,
                "decision": "dropped",
                "reason": reason.value,
                "evidence_id": evidence_id,
                "score": score,
                "detail": detail,
            },
        )

    def table(self) -> pa.Table:
        """Return the drops as a table of schema `LEDGER`."""
        return pa.Table.from_pylist(list(self._rows.values()), schema=LEDGER)


def ledger_of(stage: str, row_ids: pa.ChunkedArray | pa.Array, dropped: pa.Table) -> pa.Table:
    """Write the ledger of a stage: `dropped` as it is, and a `kept` row for every other input row.

    Args:
        stage: Name of the stage.
        row_ids: Ids of all input rows, each once.
        dropped: Schema `LEDGER`, decisions `dropped`.

    Raises:
        LedgerError: if an id came in twice, or a row was dropped that never came in.
    """
    if pc.count_distinct(row_ids).as_py() != len(row_ids):
        raise LedgerError(f"stage {stage}: {len(row_ids)} input rows share {pc.count_distinct(row_ids).as_py()} ids")
    unknown = pc.invert(pc.is_in(dropped["row_id"], value_set=_flat(row_ids)))
    if pc.any(unknown).as_py():
        first = dropped.filter(unknown)["row_id"][0].as_py()
        raise LedgerError(f"stage {stage} dropped row {first}, which it never received")
    kept_ids = _flat(row_ids).filter(pc.invert(pc.is_in(_flat(row_ids), value_set=_flat(dropped["row_id"]))))
    n = len(kept_ids)
    kept = pa.Table.from_arrays(
        [kept_ids, pa.repeat(stage, n), pa.repeat("kept", n)]
        + [pa.nulls(n, LEDGER.field(i).type) for i in range(3, 7)],
        schema=LEDGER,
    )
    return pa.concat_tables([kept, dropped]).combine_chunks()


def settle(stage: str, rows: pa.Table, drops: Drops, max_drop_fraction: float = 1.0) -> StageResult:
    """Remove the dropped rows, write the ledger, check the books.

    Raises:
        LedgerError: if `n_in != n_kept + n_dropped`.
        DropLimitError: if more than `max_drop_fraction` of the rows went.
    """
    dropped = drops.table()
    kept = rows.filter(pc.invert(pc.is_in(rows["id"], value_set=_flat(dropped["row_id"]))))
    result = StageResult(kept, ledger_of(stage, rows["id"], dropped))
    check_books(stage, rows.num_rows, kept.num_rows, result.ledger)
    check_drop_fraction(result.ledger, max_drop_fraction)
    return result


def check_books(stage: str, n_in: int, n_kept: int, ledger: pa.Table) -> None:
    """Check that the ledger accounts for every input row exactly once.

    Raises:
        LedgerError: if it does not.
    """
    n_dropped = count_dropped(ledger)
    if n_in != n_kept + n_dropped or ledger.num_rows != n_in:
        raise LedgerError(
            f"stage {stage}: {n_in} rows in, {n_kept} kept and {n_dropped} dropped, {ledger.num_rows} ledger rows; "
            "please report this as a defect"
        )


def check_drop_fraction(ledger: pa.Table, max_drop_fraction: float) -> None:
    """Stop the run when a stage dropped more than the configuration allows.

    Raises:
        DropLimitError: with the two most frequent reasons and the key to change.
    """
    n_dropped = count_dropped(ledger)
    if not ledger.num_rows or n_dropped / ledger.num_rows <= max_drop_fraction:
        return
    stage = ledger["stage"][0].as_py()
    common = ", ".join(f"{reason}: {count}" for reason, count in Counter(reasons(ledger)).most_common(2))
    raise DropLimitError(
        f"stage {stage} dropped {n_dropped} of {ledger.num_rows} rows ({n_dropped / ledger.num_rows:.0%}), more than "
        f"max_drop_fraction={max_drop_fraction:g} of this stage allows. Most frequent: {common}. "
        "Look at the rows in the report, then correct the data or the thresholds, or raise max_drop_fraction.",
        ledger,
    )


def count_dropped(ledger: pa.Table) -> int:
    """Return the number of dropped rows."""
    return int(pc.sum(pc.equal(ledger["decision"], "dropped")).as_py() or 0)


def reasons(ledger: pa.Table) -> dict[str, int]:
    """Return how many rows were dropped for each reason, most frequent first."""
    dropped = ledger.filter(pc.equal(ledger["decision"], "dropped"))
    return dict(Counter(dropped["reason"].to_pylist()).most_common())


def _flat(ids: pa.ChunkedArray | pa.Array) -> pa.Array:
    return ids.combine_chunks() if isinstance(ids, pa.ChunkedArray) else ids
