"""Evaluation of one model on the test split: an answer and a held-out loss per row, every metric per answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pyarrow as pa
from pydantic import Field, field_validator

from steps.chat.generation import Generated, GenerationSettings, LossRow
from steps.errors import EvaluationError
from steps.evaluation.metrics import METRICS
from steps.evaluation.rows import Mode, behaviour_hash, evaluation_schema
from steps.rows import prompt_and_answer, rows_of_split
from steps.settings import Settings

Messages = list[dict[str, str]]


class EvaluationSettings(Settings):
    """What is measured, on how many rows."""

    metrics: tuple[str, ...] = ("exact_match", "chrf")
    """Checks of each answer, by name (see steps/evaluation/metrics.py). The held-out loss is always measured."""
    generation: GenerationSettings = GenerationSettings()
    """How answers are generated; greedy unless told otherwise, one answer per prompt."""
    max_rows: int | None = Field(default=500, ge=1)
    """Most test rows to evaluate, chosen by the seed; none takes all."""
    few_shot: int = Field(default=2, ge=0, le=32)
    """Examples from the training split that precede the question when the base model is prompted few-shot; 0 leaves
    that baseline out."""
    max_unjudged_fraction: float = Field(default=0.05, ge=0.0, le=1.0)
    """Share of rows without a result (prompt longer than the context, …) above which an evaluation proves nothing."""
    batch_size: int = Field(default=16, ge=1, le=1024)
    """Rows per forward pass of the held-out loss."""
    seed: int = Field(default=0, ge=0)
    """Chooses the rows and the few-shot examples."""

    @field_validator("metrics")
    @classmethod
    def _are_known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in names if name not in METRICS]
        if unknown:
            raise ValueError(f"there is no metric {', '.join(map(repr, unknown))}; known: {', '.join(METRICS)}")
        if len(set(names)) != len(names):
            raise ValueError(f"a metric is named twice: {', '.join(names)}")
        return names

    @field_validator("generation")
    @classmethod
    def _one_answer(cls, generation: GenerationSettings) -> GenerationSettings:
        if generation.samples_per_prompt != 1:
            raise ValueError(
                f"samples_per_prompt={generation.samples_per_prompt}: evaluation judges one answer per prompt"
            )
        return generation


class Engine(NamedTuple):
    """What evaluation asks of a model: answers to prompts, and the loss of whole conversations."""

    generate: Callable[[Sequence[Messages], GenerationSettings], list[list[Generated]]]
    held_out_loss: Callable[[Sequence[Messages], int], list[LossRow]]


def engine_of(model_dir: Path) -> Engine:
    """Load a model once, for generation and loss."""
    from steps.chat.generation import generate, held_out_loss
    from steps.chat.model import load

    loaded = load(model_dir)
    return Engine(
        lambda prompts, settings: generate(loaded, prompts, settings),
        lambda conversations, batch_size: held_out_loss(loaded, conversations, batch_size),
    )


def evaluate_model(
    model_dir: Path,
    dataset: pa.Table,
    settings: EvaluationSettings,
    mode: Mode = "zero_shot",
    engine: Engine | None = None,
) -> pa.Table:
    """Evaluate a model on the test split, and on nothing else.

    The last assistant turn of a row is the reference, what precedes it the prompt. In mode `few_shot` no loss is
    measured, because the examples' own answers would count.

    Args:
        model_dir: The model.
        dataset: Schema `SFT`.
        settings: What is measured.
        mode: Whether examples from the training split precede the question.
        engine: In place of the model that `model_dir` holds.

    Returns:
        One row per test row, columns as in `steps.evaluation.rows`.

    Raises:
        EvaluationError: if there is no test row, or no training row to show in mode `few_shot`.
    """
    rows = chosen_rows(dataset, settings)
    cases = [prompt_and_answer(row["messages"]) for row in rows]
    prompts = [prompt for prompt, _ in cases]
    if mode == "few_shot":
        prompts = _with_examples(prompts, rows, rows_of_split(dataset, "train").to_pylist(), settings)
    engine = engine or engine_of(model_dir)
    answers = [answers[0] for answers in engine.generate(prompts, settings.generation)]
    losses: Sequence[LossRow | None] = [None] * len(rows)
    if mode == "zero_shot":
        losses = engine.held_out_loss([row["messages"] for row in rows], settings.batch_size)
    results = [
        _result(row["id"], answer, reference, loss, settings.metrics)
        for row, answer, (_, reference), loss in zip(rows, answers, cases, losses, strict=True)
    ]
    return pa.Table.from_pylist(results, schema=evaluation_schema(settings.metrics, behaviour_hash(model_dir), mode))


def chosen_rows(dataset: pa.Table, settings: EvaluationSettings) -> list[dict[str, Any]]:
    """Return the test rows that are evaluated, the same for every model.

    Raises:
        EvaluationError: if the test split is empty.
    """
    rows: list[dict[str, Any]] = rows_of_split(dataset, "test").to_pylist()
    if not rows:
        raise EvaluationError(
            "the test split is empty, so no model can be evaluated; raise curation.split.test_fraction or add data"
        )
    if settings.max_rows is None or len(rows) <= settings.max_rows:
        return rows
    kept = sorted(Random(settings.seed).sample(range(len(rows)), settings.max_rows))
    return [rows[at] for at in kept]


def _with_examples(
    prompts: Sequence[Messages],
    rows: Sequence[Mapping[str, Any]],
    training: Sequence[Mapping[str, Any]],
    settings: EvaluationSettings,
) -> list[Messages]:
    """Put the examples between a prompt's system turn and its question."""
    if not settings.few_shot:
        raise EvaluationError("evaluation.few_shot is 0, so there is no few-shot evaluation; set it to 1 or more")
    if len(training) < settings.few_shot:
        raise EvaluationError(
            f"evaluation.few_shot={settings.few_shot} examples, but the training split has {len(training)} rows"
        )
    by_task: dict[tuple[str, str], Messages] = {}
    result = []
    for prompt, row in zip(prompts, rows, strict=True):
        task = (row["source"], row["kind"])
        if task not in by_task:
            by_task[task] = _examples(task, training, settings)
        n_system = sum(message["role"] == "system" for message in prompt[:1])
        result.append([*prompt[:n_system], *by_task[task], *prompt[n_system:]])
    return result


def _examples(task: tuple[str, str], training: Sequence[Mapping[str, Any]], settings: EvaluationSettings) -> Messages:
    """Choose examples of a task from the shorter half of its training rows, so that they leave room for the question.

    A task with too few training rows shows those of all tasks.
    """
    same = [row for row in training if (row["source"], row["kind"]) == task]
    pool = same if len(same) >= settings.few_shot else list(training)
    by_length = sorted(pool, key=lambda row: (sum(len(m["content"]) for m in row["messages"]), row["id"]))
    shorter = by_length[: max(settings.few_shot, len(by_length) // 2)]
    shown = Random(f"{settings.seed}|{'|'.join(task)}").sample(shorter, settings.few_shot)
    return [dict(message) for row in shown for message in row["messages"] if message["role"] != "system"]


def _result(
    row_id: str, answer: Generated, reference: str, loss: LossRow | None, metrics: Sequence[str]
) -> dict[str, Any]:
    result: dict[str, Any] = {"row_id": row_id, "error": answer.error}
    if answer.error is None:
        result |= {
            "answer": answer.text,
            "n_tokens": answer.n_tokens,
            "n_characters": len(answer.text),
            "stopped": answer.stopped,
        }
        result |= {
            name: METRICS[name].score(answer.text, reference) for name in metrics if METRICS[name].applies(reference)
        }
    if loss is not None and loss.error is None:
        result |= {"loss_nll": loss.total_nll, "loss_tokens": loss.n_tokens}
    elif loss is not None:
        result["loss_error"] = loss.error
    return result
