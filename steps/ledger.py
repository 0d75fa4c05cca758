"""What each stage kept and dropped, and why: books that must balance.

A stage collects its drops in a `Drops`, then calls `settle`, which removes them from the table, writes one ledger
row for every input row, and refuses to go on if the books do not balance or too much went.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from steps.errors import DropLimitError, LedgerError
from steps.rows import LEDGER
from steps.tables import BATCH_ROWS, all_distinct, filter_rows, spilled

#: The columns of a drop that `Drops` collects; stage and decision are the same for all.
_COLLECTED = pa.schema([LEDGER.field(name) for name in ("row_id", "reason", "evidence_id", "score", "detail")])


class StageResult(NamedTuple):
    """The outcome of a stage: the rows that go on, and one ledger row per input row."""

    kept: pa.Table
    ledger: pa.Table


class Drops:
    """Collects the rows that a stage drops, by columns. The first reason given for a row stands."""

    def __init__(self, stage: str) -> None:
        self.stage = stage
        self._parts: list[pa.Table] = []
        self._pending: list[tuple[str, str, str | None, float | None, str | None]] = []
        self._added: set[str] = set()

    def __contains__(self, row_id: object) -> bool:
        if row_id in self._added:
            return True
        return any(pc.any(pc.equal(part["row_id"], pa.scalar(row_id, pa.string()))).as_py() for part in self._parts)

    def __len__(self) -> int:
        return len(self._collected())

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
        if row_id not in self._added:
            self._added.add(row_id)
            self._pending.append((row_id, reason.value, evidence_id, score, detail))

    def extend(
        self,
        row_ids: pa.Array | pa.ChunkedArray,
        reason: StrEnum | pa.Array | pa.ChunkedArray,
        *,
        evidence_ids: pa.Array | pa.ChunkedArray | None = None,
        scores: pa.Array | pa.ChunkedArray | npt.NDArray[np.float64] | None = None,
        details: pa.Array | pa.ChunkedArray | None = None,
    ) -> None:
        """Drop many rows at once, without a Python object for each.

        Args:
            row_ids: Ids of the rows.
            reason: The enum reason of all of them, or the value of an enum reason for each.
            evidence_ids: For each row the row that it duplicates, or null; None: no row has one.
            scores: A number for each row, or null; None: no row has one.
            details: A text for each row, or null; None: no row has one.
        """
        self._flush()
        n = len(row_ids)
        reasons_ = pa.repeat(pa.scalar(reason.value), n) if isinstance(reason, StrEnum) else reason
        columns = [row_ids, reasons_, evidence_ids, scores, details]
        arrays = [
            pa.nulls(n, field.type) if column is None else _typed(column, field.type)
            for column, field in zip(columns, _COLLECTED, strict=True)
        ]
        if n:
            self._parts.append(pa.Table.from_arrays(arrays, schema=_COLLECTED))

    def table(self) -> pa.Table:
        """Return the drops as a table of schema `LEDGER`."""
        return _decisions(self.stage, "dropped", self._collected())

    def _flush(self) -> None:
        if self._pending:
            columns = zip(*self._pending, strict=True)
            arrays = [pa.array(column, field.type) for column, field in zip(columns, _COLLECTED, strict=True)]
            self._parts.append(pa.Table.from_arrays(arrays, schema=_COLLECTED))
            self._pending.clear()

    def _collected(self) -> pa.Table:
        """Return the drops, the first of each row, in the order in which they came; one part from now on."""
        self._flush()
        drops = pa.concat_tables(self._parts) if self._parts else _COLLECTED.empty_table()
        if len(self._parts) > 1 or len(self._added) != len(drops):
            drops = drops.combine_chunks()
            if not all_distinct(drops["row_id"]):
                at = drops.select(["row_id"]).append_column("at", pa.array(np.arange(len(drops))))
                first = at.group_by("row_id").aggregate([("at", "min")])["at_min"]
                drops = drops.take(first.take(pc.sort_indices(first)))
            self._parts = [drops]
        return drops


def ledger_of(stage: str, row_ids: pa.ChunkedArray | pa.Array, dropped: pa.Table) -> pa.Table:
    """Write the ledger of a stage: `dropped` as it is, and a `kept` row for every other input row.

    Args:
        stage: Name of the stage.
        row_ids: Ids of all input rows, each once.
        dropped: Schema `LEDGER`, decisions `dropped`, each row once.

    Raises:
        LedgerError: if an id came in twice, or a row was dropped that never came in.
    """
    return _ledger(stage, row_ids, dropped, _kept(stage, row_ids, dropped))


def settle(stage: str, rows: pa.Table, drops: Drops, max_drop_fraction: float = 1.0) -> StageResult:
    """Remove the dropped rows, write the ledger, check the books. Large results are kept on disk (`steps.tables`).

    Raises:
        LedgerError: if `n_in != n_kept + n_dropped`.
        DropLimitError: if more than `max_drop_fraction` of the rows went.
    """
    dropped = drops.table()
    chosen = _kept(stage, rows["id"], dropped)
    ledger = _ledger(stage, rows["id"], dropped, chosen)
    check_drop_fraction(ledger, max_drop_fraction)
    result = StageResult(filter_rows(rows, chosen), ledger)
    check_books(stage, rows.num_rows, result.kept.num_rows, ledger)
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
    dropped = ledger["reason"].filter(pc.equal(ledger["decision"], "dropped"))
    counts = {entry["values"]: entry["counts"] for entry in dropped.value_counts().to_pylist()}
    return dict(Counter(counts).most_common())


def _kept(stage: str, row_ids: pa.ChunkedArray | pa.Array, dropped: pa.Table) -> pa.ChunkedArray | pa.Array:
    """Return for each input row whether it stays; check that each came in once, and that each dropped one came in."""
    if not all_distinct(row_ids):
        raise LedgerError(f"stage {stage}: {len(row_ids)} input rows share {pc.count_distinct(row_ids).as_py()} ids")
    gone = pc.is_in(row_ids, value_set=_flat(dropped["row_id"]))
    if (pc.sum(gone).as_py() or 0) != dropped.num_rows:
        unknown = dropped["row_id"].filter(pc.invert(pc.is_in(dropped["row_id"], value_set=_flat(row_ids))))
        if len(unknown):
            raise LedgerError(f"stage {stage} dropped row {unknown[0].as_py()}, which it never received")
        raise LedgerError(f"stage {stage} dropped a row twice: {dropped.num_rows} drops of {pc.sum(gone)} rows")
    return pc.invert(gone)


def _ledger(
    stage: str, row_ids: pa.ChunkedArray | pa.Array, dropped: pa.Table, chosen: pa.ChunkedArray | pa.Array
) -> pa.Table:
    def parts() -> Iterator[pa.Table]:
        for start in range(0, len(row_ids), BATCH_ROWS):
            ids = row_ids.slice(start, BATCH_ROWS).filter(chosen.slice(start, BATCH_ROWS))
            yield _decisions(stage, "kept", pa.table({"row_id": ids}))
        yield dropped

    return spilled(parts(), LEDGER)


def _decisions(stage: str, decision: str, rows: pa.Table) -> pa.Table:
    """Return rows of schema `LEDGER`: one stage and decision for all, the columns of `rows`, null for the rest."""
    n = rows.num_rows
    same = {"stage": stage, "decision": decision}
    columns: list[Any] = []
    for field in LEDGER:
        if field.name in same:
            columns.append(pa.repeat(same[field.name], n))
        elif field.name in rows.column_names:
            columns.append(rows[field.name])
        else:
            columns.append(pa.nulls(n, field.type))
    return pa.Table.from_arrays(columns, schema=LEDGER)


def _typed(values: Any, kind: pa.DataType) -> pa.Array | pa.ChunkedArray:
    array = values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values)
    return array if array.type == kind else array.cast(kind)


def _flat(ids: pa.ChunkedArray | pa.Array) -> pa.Array:
    return ids.combine_chunks() if isinstance(ids, pa.ChunkedArray) else ids
