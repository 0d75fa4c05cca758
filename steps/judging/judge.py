"""Stage `judge`: a score, or a reason why there is none, for every example; optionally a lower bound."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Literal, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from steps.errors import DropLimitError
from steps.judging.defect_score import DefectSettings, Embed, Row, defect_scores
from steps.judging.judgement import Judgement
from steps.judging.llm_judge import Answered, Complete, LLMJudgeSettings, judge_with_llm
from steps.judging.rubric import load_rubric
from steps.judging.verdict import Unscored
from steps.ledger import Drops, check_drop_fraction, settle
from steps.rows import JUDGEMENT, LEDGER, prompt_and_answer
from steps.settings import Settings
from steps.tables import with_column

STAGE = "judge"
#: Rows shown in the report at the lower end, and characters of each.
_SHOWN, _EXCERPT = 20, 300


class JudgeDrop(StrEnum):
    """Why judging drops a row."""

    BELOW_MIN_SCORE = "below_min_score"


class JudgingSettings(Settings):
    """Who scores the examples, and what becomes of the scores."""

    judge: Literal["defect", "llm", "none"] = "defect"
    """`defect`: the embedded detector of broken rows, 1 − P(defect) in [0, 1], no measure of quality. `llm`: a model
    behind an endpoint, on its rubric's raw scale. `none`: all rows stay unscored (`not_judged`)."""
    defect: DefectSettings = DefectSettings()
    """Used by judge `defect`."""
    llm: LLMJudgeSettings | None = None
    """Needed by judge `llm`."""
    min_score: float | None = None
    """Rows that score below go; none keeps all. On the judge's own scale."""
    max_unscored_fraction: float = Field(default=0.1, ge=0, le=1)
    """Above this fraction of rows without a score the run stops; unscored rows are kept with their reason."""
    max_drop_fraction: float = Field(default=0.5, ge=0, le=1)
    """Above this fraction of dropped rows the run stops."""
    seed: int = Field(default=7, ge=0)
    """Seeds folds, corruptions and classifier of the detector, and the fences around text that a model grades."""

    @model_validator(mode="after")
    def _judge_is_configured(self) -> JudgingSettings:
        if self.judge == "llm" and self.llm is None:
            raise ValueError("judge=llm needs the block llm with endpoint.base_url and endpoint.model")
        if self.min_score is None:
            return self
        if self.judge == "none":
            raise ValueError(f"min_score={self.min_score:g} needs scores; choose judge defect or llm")
        low, high = (0, 1) if self.llm is None or self.judge == "defect" else load_rubric(self.llm.rubric).rubric.scale
        if not low <= self.min_score <= high:
            raise ValueError(f"min_score={self.min_score:g} is outside the judge's scale, {low} to {high}")
        return self


class JudgeResult(NamedTuple):
    """Kept rows with the columns of `rows.JUDGEMENT`, one ledger row per input row, and a report of plain values."""

    kept: pa.Table
    ledger: pa.Table
    report: dict[str, Any]


def judge_rows(
    examples: pa.Table, settings: JudgingSettings, complete: Complete | None = None, embed: Embed | None = None
) -> JudgeResult:
    """Score every example with the configured judge.

    Args:
        examples: Schema `rows.EXAMPLES`.
        settings: Of the stage.
        complete: Sends requests to the LLM judge; None makes a `ChatClient`.
        embed: Embeds texts for the defect detector; None loads the configured model.

    Raises:
        DropLimitError: if too many rows stay unscored, or fall below `min_score`.
        EndpointError: if the endpoint refuses the key or is not there.
        BudgetExceededError: if the budget is used up; all replies are cached.
    """
    if settings.judge == "none":
        return _unjudged(examples)
    judgements, extra = _judge(examples, settings, complete, embed)
    scored = _with_judgements(examples, judgements)
    drops = Drops(STAGE)
    for row_id, judgement in zip(examples["id"].to_pylist(), judgements, strict=True):
        if settings.min_score is not None and judgement.score is not None and judgement.score < settings.min_score:
            detail = f"min_score={settings.min_score:g}: {judgement.rationale}"
            drops.add(row_id, JudgeDrop.BELOW_MIN_SCORE, score=judgement.score, detail=detail)
    kept, ledger = settle(STAGE, scored, drops)
    ledger = _remark(ledger, examples["id"].to_pylist(), judgements)
    _check_unscored(judgements, settings, ledger)
    check_drop_fraction(ledger, settings.max_drop_fraction)
    report = {"judge": settings.judge, **_summary(examples, judgements), **extra}
    return JudgeResult(kept, ledger, report)


def _unjudged(examples: pa.Table) -> JudgeResult:
    """Mark all rows as not judged, by whole columns: there may be millions."""
    n = examples.num_rows
    same = Judgement(None, Unscored.NOT_JUDGED, None, "none", "")
    scored = examples
    for field in JUDGEMENT:
        scored = scored.append_column(field, pa.repeat(pa.scalar(getattr(same, field.name), field.type), n))
    kept, ledger = settle(STAGE, scored, Drops(STAGE))
    reasons = pa.repeat(pa.scalar(same.unscored_reason, pa.string()), n)
    ledger = with_column(ledger, LEDGER.field("reason"), reasons)
    return JudgeResult(kept, ledger, {"judge": "none", **_summary(examples, [same] * n)})


def _judge(
    examples: pa.Table, settings: JudgingSettings, complete: Complete | None, embed: Embed | None
) -> tuple[list[Judgement], dict[str, Any]]:
    """Return one judgement per row, and what the judge has to say about itself."""
    judgements = [Judgement(None, Unscored.NOT_JUDGED, None, settings.judge, "")] * examples.num_rows
    at, answered, groups = [], [], []
    for i, (row_id, group, messages) in enumerate(
        zip(*(examples[name].to_pylist() for name in ("id", "group_id", "messages")), strict=True)
    ):
        try:
            prompt, answer = prompt_and_answer(messages)
        except ValueError as error:
            judgements[i] = Judgement(None, Unscored.NO_ANSWER, None, settings.judge, "", detail=str(error))
            continue
        at.append(i)
        answered.append(Answered(row_id, prompt, answer))
        groups.append(group)
    if settings.judge == "llm":
        found, extra = _ask(answered, settings, complete)
    else:
        found, extra = _detect(answered, groups, settings, embed)
    for i, judgement in zip(at, found, strict=True):
        judgements[i] = judgement
    return judgements, extra


def _ask(
    answered: Sequence[Answered], settings: JudgingSettings, complete: Complete | None
) -> tuple[list[Judgement], dict[str, Any]]:
    from steps.llm.client import ChatClient

    if settings.llm is None:
        raise ValueError("validated settings have the block llm")
    extra: dict[str, Any] = {"rubric": settings.llm.rubric}
    if complete is not None:
        return judge_with_llm(answered, settings.llm, settings.seed, complete), extra
    client = ChatClient(settings.llm.endpoint)
    found = judge_with_llm(answered, settings.llm, settings.seed, client.complete_all)
    return found, {**extra, "paid_usd": client.spent_usd}


def _detect(
    answered: Sequence[Answered], groups: Sequence[str], settings: JudgingSettings, embed: Embed | None
) -> tuple[list[Judgement], dict[str, Any]]:
    from steps.judging.embedder import load_embedder

    rows = [
        Row(one.row_id, group, "\n\n".join(message["content"] for message in one.prompt), one.answer)
        for one, group in zip(answered, groups, strict=True)
    ]
    if embed is None and settings.defect.embedder is not None and len(rows) >= settings.defect.min_rows:
        embed = load_embedder(settings.defect.embedder, settings.defect.embedder_max_length_tokens)
    result = defect_scores(rows, settings.defect, settings.seed, embed)
    return result.judgements, {"detector": result.report}


def _with_judgements(examples: pa.Table, judgements: Sequence[Judgement]) -> pa.Table:
    for field in JUDGEMENT:
        column = pa.array([getattr(judgement, field.name) for judgement in judgements], field.type)
        examples = examples.append_column(field, column)
    return examples


def _check_unscored(judgements: Sequence[Judgement], settings: JudgingSettings, ledger: pa.Table) -> None:
    missing = [judgement for judgement in judgements if judgement.unscored_reason is not None]
    if settings.judge == "none" or len(missing) <= settings.max_unscored_fraction * len(judgements):
        return
    common = Counter(str(judgement.unscored_reason) for judgement in missing).most_common(2)
    example = next((judgement.detail for judgement in missing if judgement.detail), "no detail")
    raise DropLimitError(
        f"stage {STAGE} left {len(missing)} of {len(judgements)} rows unscored, more than max_unscored_fraction="
        f"{settings.max_unscored_fraction:g} allows. Most frequent: "
        f"{', '.join(f'{reason}: {n}' for reason, n in common)}; for example: {example}. Correct the cause and run "
        "again (replies of an endpoint are cached), or raise max_unscored_fraction, or set judge to none.",
        ledger,
    )


def _remark(ledger: pa.Table, ids: Sequence[str], judgements: Sequence[Judgement]) -> pa.Table:
    """Write score and unscored reason beside the kept rows, too."""
    by_id = dict(zip(ids, judgements, strict=True))
    rows = ledger.to_pylist()
    for row in rows:
        judgement = by_id[row["row_id"]]
        if row["decision"] == "kept":
            row.update(score=judgement.score, reason=judgement.unscored_reason, detail=judgement.detail)
    return pa.Table.from_pylist(rows, schema=LEDGER)


def _summary(examples: pa.Table, judgements: Sequence[Judgement]) -> dict[str, Any]:
    """Summarise scores, reasons and cost, and show the lowest rows."""
    scored = [(judgement.score, i) for i, judgement in enumerate(judgements) if judgement.score is not None]
    costs = [judgement.cost_usd for judgement in judgements if judgement.cost_usd is not None]
    scores = pa.array([score for score, _ in scored], pa.float64())
    steps = [0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0]
    quantiles = pc.quantile(scores, q=steps).to_pylist() if scored else []
    return {
        "n": len(judgements),
        "n_scored": len(scored),
        "unscored": dict(Counter(str(one.unscored_reason) for one in judgements if one.unscored_reason is not None)),
        "mean_score": pc.mean(scores).as_py(),
        "quantiles": {f"{q:g}": value for q, value in zip(steps, quantiles, strict=False)},
        "cost_usd": sum(costs) if costs else None,
        "lowest": [_shown(examples.slice(i, 1), judgements[i]) for _, i in sorted(scored)[:_SHOWN]],
    }


def _shown(row: pa.Table, judgement: Judgement) -> dict[str, Any]:
    messages = row["messages"][0].as_py()
    return {
        "id": row["id"][0].as_py(),
        "score": judgement.score,
        "rationale": judgement.rationale,
        "prompt": messages[-2]["content"][:_EXCERPT] if len(messages) > 1 else "",
        "answer": messages[-1]["content"][:_EXCERPT],
    }
