"""A model as second opinion on grounding: a verdict for every claim, and a quotation for every support."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from steps.llm.json_reply import parse_object
from steps.llm.request import ChatRequest, Reply
from steps.rows import content_id
from steps.synthesis.generation_settings import GroundingJudgeSettings
from steps.synthesis.grounding import Finding, GroundDrop, quoted_in, shown_claims
from steps.synthesis.plan import Unit, question_of
from steps.synthesis.prompts import Shown, load_prompt, render


class Asked(NamedTuple):
    """One question to the judge: all claims of one row."""

    id: str
    row: Mapping[str, Any]
    unit: Unit
    claims: list[str]


def questions(rows: Sequence[tuple[Unit, Mapping[str, Any]]]) -> list[Asked]:
    """Return what the judge is asked of each row, in order."""
    return [Asked(content_id("ground", row["id"]), row, unit, shown_claims(row)) for unit, row in rows]


def judge_requests(asked: Sequence[Asked], settings: GroundingJudgeSettings, seed: int) -> list[ChatRequest]:
    """Write the request for each question."""
    prompt = load_prompt(settings.prompt, "ground").prompt
    return [
        ChatRequest(render(prompt, one.id, _shown(one), seed), prompt.reply_schema, temperature=0.0) for one in asked
    ]


def _shown(one: Asked) -> Shown:
    question = question_of(one.row["messages"], one.unit.chunk)
    return Shown(one.unit.chunk.text, one.unit.chunk.headings, instruction=question, claims=one.claims)


def read_verdicts(reply: Reply, one: Asked, finding: Finding) -> Finding:
    """Turn a reply into a finding; a claim is supported only with evidence that really stands in the chunk.

    Args:
        reply: What the judge said.
        one: What it was asked.
        finding: What the check of words found, which stands where the judge agrees.
    """
    if reply.error is not None:
        return Finding(GroundDrop.UNJUDGED, finding.score, reply.error)
    try:
        verdicts = _verdicts(parse_object(reply.text), len(one.claims))
    except ValueError as error:
        return Finding(GroundDrop.UNJUDGED, finding.score, str(error))
    failed = [
        (claim, evidence, supported)
        for claim, (supported, evidence) in zip(one.claims, verdicts, strict=True)
        if not supported or not quoted_in(evidence, one.unit.chunk)
    ]
    if not failed:
        return finding
    claim, evidence, supported = failed[0]
    why = f"quotes “{evidence}”, which the text does not hold" if supported else f"not supported; nearest “{evidence}”"
    share = 1 - len(failed) / len(one.claims)
    said = f"{len(failed)} of {len(one.claims)} claims: “{claim}” {why}"
    return Finding(GroundDrop.JUDGED_UNSUPPORTED, share, said, tuple(each[0] for each in failed))


def _verdicts(found: Mapping[str, Any], n_claims: int) -> list[tuple[bool, str]]:
    """Return `(supported, evidence)` of each claim, in order.

    Raises:
        ValueError: if the reply is of another form, or does not speak of every claim once.
    """
    verdicts = found.get("verdicts")
    if not isinstance(verdicts, list):
        raise ValueError("verdicts is missing or no array")
    by_claim: dict[int, tuple[bool, str]] = {}
    for one in verdicts:
        number, supported, evidence = (
            (one.get("claim"), one.get("supported"), one.get("evidence")) if isinstance(one, Mapping) else (None,) * 3
        )
        if type(number) is not int or type(supported) is not bool or not isinstance(evidence, str):
            raise ValueError("a verdict lacks claim, supported or evidence")
        if number in by_claim:
            raise ValueError(f"claim {number} is judged twice")
        by_claim[number] = (supported, evidence)
    if sorted(by_claim) != list(range(1, n_claims + 1)):
        raise ValueError(f"verdicts on claims {sorted(by_claim)}, expected 1 to {n_claims}")
    return [by_claim[number] for number in range(1, n_claims + 1)]
