"""What a data set's page says: the funnel, the sources, the splits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from steps.ledger import count_dropped, reasons
from steps.mixing.guidance import TaskType, advise, parameters_of, task_of
from steps.rows import rows_of_split


def funnel(ledgers: Mapping[str, pa.Table]) -> list[dict[str, Any]]:
    """Return, per stage in the order given, `n_in, n_kept, n_dropped, reasons`."""
    return [
        {
            "stage": stage,
            "n_in": ledger.num_rows,
            "n_kept": ledger.num_rows - count_dropped(ledger),
            "n_dropped": count_dropped(ledger),
            "reasons": reasons(ledger),
        }
        for stage, ledger in ledgers.items()
    ]


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
