"""Preferences from our own model: several answers to a training prompt, ranked; the best against the worst."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

import pyarrow as pa
from pydantic import Field, field_validator, model_validator

from steps.chat.generation import Generated, GenerationSettings
from steps.judging.llm_judge import Answered, Complete, LLMJudgeSettings, judge_with_llm
from steps.ledger import Drops
from steps.rows import content_id, prompt_and_answer, rows_of_split
from steps.settings import Settings

#: Answers each prompt: one list of samples per prompt, in order.
Sample = Callable[[list[list[dict[str, str]]]], list[list[Generated]]]


class SampledDrop(StrEnum):
    """Why a sampled prompt gives no pair."""

    NOT_CHECKABLE = "not_checkable"
    GENERATION_FAILED = "generation_failed"
    UNFINISHED_SAMPLES = "unfinished_samples"
    UNSCORED_SAMPLES = "unscored_samples"
    NO_MARGIN = "no_margin"
    BEST_TOO_LOW = "best_too_low"


class SamplingSettings(GenerationSettings):
    """How the model is sampled: warm, and several times."""

    temperature: float = Field(default=0.8, gt=0, le=2.0)
    """Divisor of the logits."""
    samples_per_prompt: int = Field(default=4, ge=2, le=64)
    """Answers per prompt."""


class SampledSettings(Settings):
    """How pairs are made from samples of the SFT model."""

    ranker: str
    """`check:<metric>`: a verifiable metric of `steps.evaluation.metrics` against the row's own answer. `judge`: the
    LLM judge of `llm`. The defect score is no ranker: it does not measure which of two answers is better."""
    llm: LLMJudgeSettings | None = None
    """Needed by ranker `judge`."""
    generation: SamplingSettings = SamplingSettings()
    """Sampling."""
    kinds: tuple[str, ...] | None = None
    """Only prompts of examples of these kinds (`summary`, …); none takes all."""
    max_prompts: int | None = Field(default=500, ge=1)
    """Training prompts that are sampled, a seeded choice; none samples all."""
    min_margin: float = Field(default=0.5, gt=0)
    """Least difference of the two scores, on the ranker's scale (checks 0 to 1, judges their rubric's)."""
    min_chosen_score: float | None = None
    """Least score of a chosen answer; none takes the best, however bad."""
    reference_as_chosen: bool = False
    """With a check: where no sample reaches `pass_score` but the row's own answer does, that answer is chosen."""
    pass_score: float = Field(default=1.0, gt=0, le=1)
    """Score at which a check counts as passed."""

    @field_validator("ranker")
    @classmethod
    def _is_a_ranker(cls, value: str) -> str:
        if "defect" in value:
            raise ValueError(
                "the defect score tells broken answers from whole ones, not better from worse, and never makes "
                "preferences; use check:<metric>, judge, or imported preferences"
            )
        kind, _, metric = value.partition(":")
        if value == "judge":
            return value
        from steps.evaluation.metrics import METRICS

        if kind != "check" or metric not in METRICS:
            raise ValueError(f"not `judge` or `check:` with one of the metrics {', '.join(METRICS)}")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> SampledSettings:
        if self.ranker == "judge" and self.llm is None:
            raise ValueError("ranker=judge needs the block llm with endpoint.base_url and endpoint.model")
        if self.ranker == "judge" and self.reference_as_chosen:
            raise ValueError("reference_as_chosen needs a check as ranker: a judge does not tell what passes")
        return self

    @property
    def metric(self) -> str | None:
        """Name of the check's metric; None for a judge."""
        return None if self.ranker == "judge" else self.ranker.partition(":")[2]


class _Asked(NamedTuple):
    """A training prompt with its curated answer and the usable, distinct samples of the model."""

    row: Mapping[str, Any]
    prompt: list[dict[str, str]]
    reference: str
    texts: list[str]


class Ranked(NamedTuple):
    """One answer with its score."""

    text: str
    score: float


def choose_prompts(sft_dataset: pa.Table, settings: SampledSettings, seed: int) -> pa.Table:
    """Return the training rows whose prompts are sampled; the choice does not depend on the rows' order."""
    rows = rows_of_split(sft_dataset, "train")
    kinds, ids = rows["kind"].to_pylist(), rows["id"].to_pylist()
    fit = [i for i, kind in enumerate(kinds) if settings.kinds is None or kind in settings.kinds]
    fit.sort(key=lambda i: content_id("prompt", ids[i], seed))
    return rows.take(pa.array(sorted(fit[: settings.max_prompts]), pa.int64()))


def sample_pairs(
    prompts: pa.Table, sample: Sample, settings: SampledSettings, seed: int, drops: Drops, complete: Complete | None
) -> list[dict[str, Any]]:
    """Sample, rank, and pair the best with the worst; prompts that give no pair go to `drops`.

    Where a sample stands in the list decides nothing: ties are broken by a seeded hash of the text.

    Args:
        prompts: Rows of schema `rows.SFT`.
        sample: Generates answers.
        settings: Of the pairs.
        seed: Of the tie-breaking, and of the fences around text that a judge grades.
        drops: Of the stage.
        complete: Sends requests to the judge; None makes a `ChatClient`.

    Returns:
        Rows of schema `rows.PREFERENCES`.
    """
    rows = prompts.to_pylist()
    split = [prompt_and_answer(row["messages"]) for row in rows]
    samples = sample([prompt for prompt, _ in split])
    asked = []
    for row, (prompt, reference), generated in zip(rows, split, samples, strict=True):
        texts = _usable(row["id"], reference, generated, settings, drops)
        if texts:
            asked.append(_Asked(row, prompt, reference, texts))
    ranker, scores = _rank(asked, settings, seed, complete)
    pairs = []
    for one, found in zip(asked, scores, strict=True):
        ranked = [Ranked(text, score) for text, score in zip(one.texts, found, strict=True) if score is not None]
        pair = _pair(one, ranked, settings, seed, drops)
        if pair is not None:
            pairs.append(_preference(one, *pair, ranker))
    return pairs


def _usable(
    row_id: str, reference: str, generated: Sequence[Generated], settings: SampledSettings, drops: Drops
) -> list[str]:
    """Return the distinct finished answers, sorted.

    An unfinished one is never used: as rejected it would teach that its last word must not be followed by an end.
    """
    from steps.evaluation.metrics import applies

    if settings.metric is not None and not applies(settings.metric, reference):
        drops.add(row_id, SampledDrop.NOT_CHECKABLE, detail=f"{settings.metric} does not apply to the row's answer")
        return []
    whole = [one for one in generated if one.error is None]
    if not whole:
        detail = next((one.error for one in generated if one.error), "the model returned no sample")
        drops.add(row_id, SampledDrop.GENERATION_FAILED, detail=detail)
        return []
    texts = sorted({one.text for one in whole if one.stopped and one.text.strip()})
    if not texts:
        detail = f"none of {len(whole)} samples ended with text within {settings.generation.max_new_tokens} tokens"
        drops.add(row_id, SampledDrop.UNFINISHED_SAMPLES, detail=detail)
    return texts


def _rank(
    asked: Sequence[_Asked], settings: SampledSettings, seed: int, complete: Complete | None
) -> tuple[str, list[list[float | None]]]:
    """Return the ranker's name for the rows, and a score (or None) for each text of each prompt."""
    if settings.metric is not None:
        from steps.evaluation.metrics import score

        return settings.ranker, [[score(settings.metric, text, one.reference) for text in one.texts] for one in asked]
    if settings.llm is None:
        raise ValueError("validated settings have the block llm")
    if complete is None:
        from steps.llm.client import ChatClient

        complete = ChatClient(settings.llm.endpoint).complete_all
    answers = [Answered(content_id(one.row["id"], text), one.prompt, text) for one in asked for text in one.texts]
    judged = iter(judge_with_llm(answers, settings.llm, seed, complete))
    return f"judge:{settings.llm.endpoint.model}", [[next(judged).score for _ in one.texts] for one in asked]


def _pair(
    one: _Asked, ranked: Sequence[Ranked], settings: SampledSettings, seed: int, drops: Drops
) -> tuple[Ranked, Ranked] | None:
    """Return the chosen and the rejected answer, or enter the reason why there is no such pair."""
    row_id = one.row["id"]
    if not ranked:
        drops.add(row_id, SampledDrop.UNSCORED_SAMPLES, detail=f"none of {len(one.texts)} samples got a score")
        return None
    order = sorted(ranked, key=lambda answer: (-answer.score, content_id(answer.text, row_id, seed)))
    best, worst = order[0], order[-1]
    if settings.reference_as_chosen and settings.metric is not None and best.score < settings.pass_score:
        from steps.evaluation.metrics import score

        reference = Ranked(one.reference, score(settings.metric, one.reference, one.reference))
        best = reference if reference.score >= settings.pass_score else best
    if settings.min_chosen_score is not None and best.score < settings.min_chosen_score:
        detail = f"min_chosen_score={settings.min_chosen_score:g}"
        drops.add(row_id, SampledDrop.BEST_TOO_LOW, score=best.score, detail=detail)
        return None
    if best.text == worst.text or best.score - worst.score < settings.min_margin:
        detail = f"best {best.score:g}, worst {worst.score:g} of {len(ranked)} different samples"
        drops.add(row_id, SampledDrop.NO_MARGIN, score=best.score - worst.score, detail=detail)
        return None
    return best, worst


def _preference(one: _Asked, chosen: Ranked, rejected: Ranked, ranker: str) -> dict[str, Any]:
    return {
        "id": content_id("preference", one.row["id"], ranker, chosen.text, rejected.text),
        "prompt": one.prompt,
        "chosen": [{"role": "assistant", "content": chosen.text}],
        "rejected": [{"role": "assistant", "content": rejected.text}],
        "ranker": ranker,
        "source": one.row["source"],
        "path": one.row["path"],
        "row": one.row["row"],
        "example_id": one.row["id"],
        "chosen_score": chosen.score,
        "rejected_score": rejected.score,
    }
