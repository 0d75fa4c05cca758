"""What a data set's page says: the funnel, the sources, the splits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from steps.extraction.document_columns import repairs_of
from steps.ledger import count_dropped, reasons
from steps.mixing.guidance import TaskType, advise, parameters_of, task_of
from steps.rows import rows_of_split


def funnel(ledgers: Mapping[str, pa.Table]) -> list[dict[str, Any]]:
    """Return, per stage in the order given, `n_in, n_kept, n_dropped, reasons, examples`."""
    return [
        {
            "stage": stage,
            "n_in": ledger.num_rows,
            "n_kept": ledger.num_rows - count_dropped(ledger),
            "n_dropped": count_dropped(ledger),
            "reasons": reasons(ledger),
            "examples": examples_of(ledger),
        }
        for stage, ledger in ledgers.items()
    ]


def examples_of(ledger: pa.Table) -> dict[str, dict[str, Any]]:
    """Return, for each reason, the first row that was dropped for it: its id and the evidence."""
    dropped = ledger.filter(pc.equal(ledger["decision"], "dropped")).drop(["stage", "decision"])
    found: dict[str, dict[str, Any]] = {}
    for reason in dropped["reason"].unique().to_pylist():
        position = pc.index(dropped["reason"], reason).as_py()
        found[reason] = dropped.slice(position, 1).drop(["reason"]).to_pylist()[0]
    return found


def documents_of(documents: pa.Table) -> list[dict[str, Any]]:
    """Return, per source, how many documents were read, of which formats, languages and licences, and their repairs.

    Args:
        documents: Schema `DOCUMENTS`.
    """
    entries = []
    for source in sorted(documents["source"].unique().to_pylist()):
        rows = documents.filter(pc.equal(documents["source"], source))
        counts = {f"{column}s": _counts(rows[column]) for column in ("format", "language", "licence")}
        entries.append({"source": source, "n_documents": rows.num_rows, **counts, "repairs": repairs_of(rows)})
    return entries


def _counts(column: pa.ChunkedArray) -> dict[str, int]:
    """Return how often each value occurs, most frequent first; null is `unknown`."""
    counts = {entry["values"] or "unknown": entry["counts"] for entry in column.value_counts().to_pylist()}
    return dict(sorted(counts.items(), key=lambda entry: (-entry[1], entry[0])))


def sources_of(dataset: pa.Table) -> list[dict[str, Any]]:
    """Return, per source, kind and licence, how many rows stand in the data set."""
    keys = ["source", "kind", "licence"]
    counts = dataset.select(keys).group_by(keys, use_threads=False).aggregate([([], "count_all")])
    entries = sorted(counts.to_pylist(), key=lambda entry: (entry["source"], entry["kind"]))
    return [
        {**{key: entry[key] for key in keys}, "licence": entry["licence"] or "unknown", "n_rows": entry["count_all"]}
        for entry in entries
    ]


def splits_of(dataset: pa.Table) -> dict[str, int]:
    """Return the number of rows per split."""
    return {entry["values"]: entry["counts"] for entry in dataset["split"].value_counts().to_pylist()}


def guidance_of(
    dataset: pa.Table, base_model: Path, tokens: Mapping[str, Mapping[str, int]], task: TaskType | None
) -> dict[str, Any]:
    """Return whether the training rows are as many as the task usually takes; `task` None guesses it from the kinds."""
    train = rows_of_split(dataset, "train")
    chosen = task or task_of(train["kind"].unique().to_pylist())
    return advise(chosen, parameters_of(base_model), train.num_rows, tokens["train"]["total"])
