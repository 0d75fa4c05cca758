"""Preferences from revision: a model mends the worst answer to a prompt, and the mended one is chosen over it.

Only if the ranker that called the answer bad calls the revision better: a check by its score, judges by theirs, a
judge of pairs in both orders. A reviser's own word counts for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from string import Template
from typing import Annotated, Any, NamedTuple

from pydantic import Field, field_validator

from steps.judging.judge_prompt import conversation
from steps.judging.verdict import Verdict
from steps.ledger import Drops
from steps.llm.fencing import fence, neutralise
from steps.llm.json_reply import parse_object
from steps.llm.models import Model
from steps.llm.prompt_files import checked_by, load_prompt_file
from steps.llm.request import ChatRequest, Failed, Reply
from steps.preference.asking import Models
from steps.preference.candidate import Candidate
from steps.preference.pairing import Ranked
from steps.preference.ranking import Asked, RankedPrompt
from steps.preference.sampled import SampledPairs, preference, rank
from steps.preference.sampled_settings import SampledSettings
from steps.rows import content_id
from steps.settings import Settings

_BUNDLED = Path(__file__).parent / "prompts"
#: Changes first, so that the answer follows from them.
REPLY_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"changes": {"type": "string"}, "answer": {"type": "string"}},
    "required": ["changes", "answer"],
    "additionalProperties": False,
}
#: Characters of an unusable reply that the ledger shows; the reply cache keeps the whole.
_SHOWN = 200


class RevisedDrop(StrEnum):
    """Why a revision gives no pair."""

    REVISION_FAILED = "revision_failed"
    REVISION_UNSCORED = "revision_unscored"
    REVISION_UNCHANGED = "revision_unchanged"
    REVISION_NOT_BETTER = "revision_not_better"
    REVISION_INCONSISTENT = "revision_inconsistent"


class RevisionPrompt(Settings):
    """The content of a prompt file for the reviser."""

    name: str
    """Name of the prompt, with its version."""
    system: str
    """What the reviser is told."""
    template: str
    """The user turn, with `$prompt`, `$answer`, `$rationale` and `$fence`."""

    @field_validator("template")
    @classmethod
    def _fences_the_texts(cls, value: str) -> str:
        missing = [name for name in ("$prompt", "$answer", "$rationale", "$fence") if name not in value]
        if missing:
            raise ValueError(f"lacks {', '.join(missing)}")
        return value


def load_revision_prompt(name_or_path: str) -> tuple[RevisionPrompt, str]:
    """Load a prompt file; return it and its SHA-256.

    Raises:
        ConfigError: if there is no such file, or it is not of this form.
    """
    return load_prompt_file(RevisionPrompt, "revision prompt", name_or_path, _BUNDLED)


class RevisionSettings(Settings):
    """Who revises which answers."""

    model: Model
    """The reviser: an endpoint, or a model in this process."""
    prompt: Annotated[str, checked_by(load_revision_prompt)] = "revise_v1"
    """Name of a bundled prompt, or the path of a YAML file of the same form."""
    max_score: float | None = None
    """Only answers that score at most this are revised, on the ranker's scale; none revises the worst answer of every
    prompt (with a check, unless it passes)."""
    max_prompts: int | None = Field(default=500, ge=1)
    """Most answers to revise, the worst first; none revises all."""


class Revisions(NamedTuple):
    """The pairs, every verdict that confirmed or refuted one, the ledger id of every attempt, and the prompt file."""

    candidates: list[Candidate]
    verdicts: list[Verdict]
    ledger_ids: list[str]
    prompt_sha256: str


class _Worst(NamedTuple):
    one: Asked
    answer: Ranked
    ledger_id: str


def revise(
    sampled: SampledPairs,
    settings: RevisionSettings,
    ranking: SampledSettings,
    seed: int,
    models: Models,
    drops: Drops,
) -> Revisions:
    """Have the worst answers revised, and pair each with its revision if the ranker confirms that it is better.

    Args:
        sampled: Prompts and their ranked answers.
        settings: Who revises what.
        ranking: The ranker, and the margin by which a revision must be better.
        seed: Of the fences around the texts.
        models: Asks the reviser and the judges.
        drops: Of the stage.
    """
    prompt, sha256 = load_revision_prompt(settings.prompt)
    worst = _worst(sampled, settings, ranking)
    requests = [
        ChatRequest(revision_messages(prompt, one.one.prompt, one.answer, one.ledger_id, seed), REPLY_SCHEMA)
        for one in worst
    ]
    replies = models.ask(settings.model, requests, f"revising with {settings.model.model}") if requests else []
    revised: list[tuple[_Worst, str]] = []
    for one, reply in zip(worst, replies, strict=True):
        text = _read(reply, one, drops)
        if text is not None:
            revised.append((one, text))
    both = [one.one._replace(texts=sorted((one.answer.text, text))) for one, text in revised]
    confirmed = rank(both, ranking, seed, models)
    name = f"revision by {settings.model.model} of {{}}"
    candidates = []
    for (one, text), found in zip(revised, confirmed.prompts, strict=True):
        pair = _confirmed(one, text, found, ranking, drops)
        if pair is not None:
            row = preference(one.one, *pair, sampled.ranker)
            note = name.format(one.one.samplers[one.answer.text])
            candidates.append(Candidate(one.ledger_id, "revised", row, note))
    return Revisions(candidates, confirmed.verdicts, [one.ledger_id for one in worst], sha256)


def _worst(sampled: SampledPairs, settings: RevisionSettings, ranking: SampledSettings) -> list[_Worst]:
    """Return the worst answer of each prompt, where it is bad enough, the worst of all first."""
    found = []
    for one, ranked in zip(sampled.asked, sampled.ranked, strict=True):
        if not ranked.answers:
            continue
        answer = min(ranked.answers, key=lambda answer: (answer.score, content_id(answer.text, one.row["id"])))
        passes = ranking.metric is not None and answer.score >= ranking.pass_score
        if passes or (settings.max_score is not None and answer.score > settings.max_score):
            continue
        found.append(_Worst(one, answer, content_id("revision", one.row["id"], answer.text)))
    found.sort(key=lambda one: (one.answer.score, one.ledger_id))
    return found[: settings.max_prompts]


def revision_messages(
    prompt: RevisionPrompt, asked: Sequence[Mapping[str, str]], answer: Ranked, row_id: str, seed: int
) -> list[dict[str, str]]:
    """Write what the reviser is asked of one answer to the conversation `asked`."""
    texts = [
        neutralise(text) for text in (conversation(asked), answer.text, answer.rationale or "No reasons were given.")
    ]
    code = fence(row_id, texts, seed)
    named = dict(zip(("prompt", "answer", "rationale"), texts, strict=True))
    content = Template(prompt.template).safe_substitute(named, fence=code)
    return [{"role": "system", "content": prompt.system.strip()}, {"role": "user", "content": content.strip()}]


def _read(reply: Reply, one: _Worst, drops: Drops) -> str | None:
    """Return the revised answer, or enter why there is none."""
    problem, text = reply.error, ""
    if problem is None or reply.failure is Failed.INVALID_REPLY:
        try:
            answer = parse_object(reply.text).get("answer")
            text, problem = (answer, None) if isinstance(answer, str) and answer.strip() else ("", "no text as answer")
        except ValueError as error:
            problem = str(error)
    if problem is not None:
        detail = f"{problem}: {reply.text[:_SHOWN]}" if reply.text else problem
        drops.add(one.ledger_id, RevisedDrop.REVISION_FAILED, evidence_id=one.one.row["id"], detail=detail)
        return None
    if text.strip() == one.answer.text.strip():
        drops.add(one.ledger_id, RevisedDrop.REVISION_UNCHANGED, evidence_id=one.one.row["id"], score=1.0)
        return None
    return text


def _confirmed(
    one: _Worst, text: str, found: RankedPrompt, ranking: SampledSettings, drops: Drops
) -> tuple[Ranked, Ranked] | None:
    """Return (revised, original) if the revision is better by the margin, or enter why not."""
    by_text = {answer.text: answer for answer in found.answers}
    revised, original = by_text.get(text), by_text.get(one.answer.text)
    row_id = one.one.row["id"]
    if revised is None or original is None:
        detail = f"no score of the {'revision' if revised is None else 'original'}"
        drops.add(one.ledger_id, RevisedDrop.REVISION_UNSCORED, evidence_id=row_id, detail=detail)
        return None
    gain = revised.score - original.score
    versus = found.direct.get((text, one.answer.text))
    if versus is not None and not versus.consistent:
        drops.add(one.ledger_id, RevisedDrop.REVISION_INCONSISTENT, evidence_id=row_id, score=gain)
        return None
    if gain < ranking.min_margin - 1e-9:
        detail = f"revised {revised.score:g}, original {original.score:g}, min_margin={ranking.min_margin:g}"
        drops.add(one.ledger_id, RevisedDrop.REVISION_NOT_BETTER, evidence_id=row_id, score=gain, detail=detail)
        return None
    return revised, original
