"""Data sets and evaluations that are written by hand: what a model answered is stated, not generated."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest

from steps.evaluation.rows import evaluation_schema
from steps.rows import SFT, table


def sft_rows(n_train: int, n_test: int, kind: str = "list") -> list[dict[str, object]]:
    return [
        {
            "id": f"{split}-{i}",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": f"{split} question {i}"},
                {"role": "assistant", "content": f"{split} answer {i}"},
            ],
            "kind": kind,
            "source": "made",
            "path": "made.jsonl",
            "group_id": f"{split}-{i}",
            "split": split,
        }
        for split, n in (("train", n_train), ("validation", 1), ("test", n_test))
        for i in range(n)
    ]


@pytest.fixture
def dataset() -> pa.Table:
    return table(sft_rows(8, 30), SFT)


@pytest.fixture
def model_dir(tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    return tmp_path / "model"


def evaluation(
    name: str,
    *,
    scores: Sequence[float | None] = (),
    losses: Sequence[float | None] = (),
    tokens: Sequence[int] | None = None,
    mode: str = "zero_shot",
    errors: int = 0,
) -> pa.Table:
    """The evaluation of a model `name`: `exact_match` scores and losses per token; the last `errors` rows failed."""
    n = max(len(scores), len(losses))
    rows = []
    for i in range(n + errors):
        row: dict[str, object] = {"row_id": f"test-{i}"}
        if i >= n:
            row |= {"error": "too long", "loss_error": "too long"}
        else:
            row |= {"answer": f"{name} {i}", "n_tokens": 3, "n_characters": 6, "stopped": True}
            if scores:
                row["exact_match"] = scores[i]
            loss = losses[i] if losses else None
            if loss is not None:
                row["loss_tokens"] = tokens[i] if tokens else 10
                row["loss_nll"] = loss * row["loss_tokens"]
        rows.append(row)
    return pa.Table.from_pylist(rows, schema=evaluation_schema(["exact_match"] if scores else [], f"sha-{name}", mode))
