"""The table that one evaluation leaves: which model, in which mode, and what it did with each test row."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from steps.evaluation.bootstrap import Sample
from steps.evaluation.metrics import METRICS

Mode = Literal["zero_shot", "few_shot"]

#: The metric that is not a check of the answer: nats per token of the reference, lower is better.
LOSS = "loss"

#: `error` says why there is no answer, `loss_error` why there is no loss. One column per metric follows: null where
#: there is no answer, or where the metric does not apply to the row's reference.
COLUMNS = (
    pa.field("row_id", pa.string(), nullable=False),
    pa.field("answer", pa.string()),
    pa.field("n_tokens", pa.int64()),
    pa.field("n_characters", pa.int64()),
    pa.field("stopped", pa.bool_()),
    pa.field("error", pa.string()),
    pa.field("loss_nll", pa.float64()),  # nats, summed over the row's answer tokens
    pa.field("loss_tokens", pa.int64()),
    pa.field("loss_error", pa.string()),
)

#: Files at the root of a model directory that say something about the model but do not change what it answers.
_DESCRIPTIONS = {"README.md", "SHA256SUMS", "tunesmith.json", ".gitattributes"}


def evaluation_schema(metrics: Sequence[str], model_sha256: str, mode: Mode) -> pa.Schema:
    """Return the schema of an evaluation; the model's hash and the mode travel in its metadata."""
    metadata = {"model_sha256": model_sha256, "mode": mode}
    return pa.schema([*COLUMNS, *(pa.field(name, pa.float64()) for name in metrics)], metadata=metadata)


def model_of(evaluation: pa.Table) -> str:
    """Return the hash of the model that was evaluated."""
    return _metadata(evaluation, "model_sha256")


def mode_of(evaluation: pa.Table) -> str:
    """Return whether the model was asked `zero_shot` or `few_shot`."""
    return _metadata(evaluation, "mode")


def metrics_of(evaluation: pa.Table) -> list[str]:
    """Return the names of the metrics that were measured, without the loss."""
    return [name for name in evaluation.column_names if name in METRICS]


def has_loss(evaluation: pa.Table) -> bool:
    """Return whether the loss was measured: few-shot prompting has none."""
    return mode_of(evaluation) == "zero_shot"


def unjudged_fraction(evaluation: pa.Table, metric: str) -> float:
    """Return the share of rows that could not be evaluated by the metric because of an error."""
    errors = evaluation["loss_error" if metric == LOSS else "error"]
    return float((len(errors) - errors.null_count) / max(1, len(errors)))


def judged(evaluation: pa.Table, metric: str) -> pa.Table:
    """Return the rows that have a value of the metric."""
    return evaluation.filter(pc.is_valid(evaluation["loss_nll" if metric == LOSS else metric]))


def sample_of(evaluation: pa.Table, metric: str) -> Sample:
    """Return the metric of the judged rows: scores over ones, or nats over tokens."""
    rows = judged(evaluation, metric)
    if metric == LOSS:
        return Sample(_floats(rows["loss_nll"]), _floats(rows["loss_tokens"]))
    return Sample.of_scores(_floats(rows[metric]))


def paired(a: pa.Table, b: pa.Table, metric: str) -> tuple[Sample, Sample]:
    """Return the metric of two evaluations on the rows that both have a value for, in the same order."""
    left, right = judged(a, metric), judged(b, metric)
    common = sorted(set(left["row_id"].to_pylist()) & set(right["row_id"].to_pylist()))
    ids = pa.array(common, pa.string())
    return tuple(  # type: ignore[return-value]
        sample_of(rows.take(pc.index_in(ids, value_set=rows["row_id"].combine_chunks())), metric)
        for rows in (left, right)
    )


def behaviour_hash(model_dir: Path) -> str:
    """Hash what decides a model's answers: the files at the root of its directory, but for descriptions.

    A trained model and its release have the same hash, although the release has a model card besides.
    """
    digest = hashlib.sha256()
    for path in sorted(p for p in model_dir.iterdir() if p.is_file() and p.name not in _DESCRIPTIONS):
        with path.open("rb") as file:
            digest.update(path.name.encode() + b"\0" + hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _metadata(evaluation: pa.Table, key: str) -> str:
    value = (evaluation.schema.metadata or {}).get(key.encode())
    if value is None:
        raise ValueError(f"this table has no {key!r} in its schema's metadata, so it is not an evaluation")
    return str(value.decode())


def _floats(column: pa.ChunkedArray) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    values: np.ndarray[tuple[int, ...], np.dtype[np.float64]] = column.to_numpy().astype(np.float64)
    return values
