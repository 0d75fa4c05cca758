"""The grounding check: each claim of an answer is supported by the chunk that it was made from, or the pair goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from steps.synthesis.chunks import Chunk
from steps.synthesis.claims import claims_of
from steps.synthesis.generation_settings import GroundingSettings
from steps.synthesis.plan import question_of
from steps.synthesis.structure import normalise, parse_blocks
from steps.synthesis.support import MAX_COUNTED, Evidence, Support, Unsupported, known_from, support_of

STAGE = "ground"
#: Characters of a claim and of its evidence that the ledger quotes.
_QUOTED = 160
_CHECKED = {
    Unsupported.NUMBER: "check_numbers",
    Unsupported.NAME: "check_names",
    Unsupported.NEGATION: "check_negations",
}


class GroundDrop(StrEnum):
    """Why a generated pair is not grounded."""

    UNSUPPORTED_NUMBER = "unsupported_number"
    UNSUPPORTED_NAME = "unsupported_name"
    UNSUPPORTED_NEGATION = "unsupported_negation"
    UNSUPPORTED_WORDING = "unsupported_wording"
    NO_CLAIM = "no_claim"
    JUDGED_UNSUPPORTED = "judged_unsupported"
    UNJUDGED = "unjudged"


class Finding(NamedTuple):
    """What was found on one pair."""

    drop: GroundDrop | None
    score: float | None
    """Least score of its claims; None without any."""
    detail: str | None
    unsupported: tuple[str, ...] = ()
    """The claims without support."""


def ground(messages: Sequence[Mapping[str, str]], kind: str, chunk: Chunk, settings: GroundingSettings) -> Finding:
    """Hold every assistant turn of a conversation against its chunk, by words, numbers and names.

    Args:
        messages: The conversation.
        kind: Kind of the row. A problem that needs reasoning may set figures and names of its own, which its answer
            then repeats.
        chunk: What it was made from.
        settings: Thresholds.
    """
    evidence = Evidence(chunk.text, chunk.headings)
    answers = [message["content"] for message in messages if message["role"] == "assistant"]
    claims = [claim for answer in answers for claim in claims_of(answer)]
    telling = [claim for claim in claims if claim.is_telling]
    if not telling:
        return Finding(GroundDrop.NO_CLAIM, None, "the answer says nothing that could be held against the text")
    known = known_from(question_of(messages, chunk)) if kind.startswith("reasoning") else ""
    counts = frozenset({len(claims), *_lengths(chunk.text)}) & frozenset(range(MAX_COUNTED + 1))
    off = frozenset(problem for problem, name in _CHECKED.items() if not getattr(settings, name))
    found = [support_of(claim, evidence, settings.min_score, counts, known, off) for claim in telling]
    score = min(one.score for one in found)
    failed = [one for one in found if one.problem]
    if len(failed) <= settings.max_unsupported_share * len(found):
        return Finding(None, score, None)
    worst = min(failed, key=lambda one: (one.problem is Unsupported.WORDING, one.score))
    unsupported = tuple(one.claim for one in failed)
    return Finding(GroundDrop(str(worst.problem)), worst.score, _said(worst, len(failed), len(found)), unsupported)


def _lengths(text: str) -> set[int]:
    """Return how many items the lists of a text have, which an answer may count."""
    return {len(block.items) for block in parse_blocks(normalise(text)) if block.kind == "list"}


def _said(worst: Support, n_failed: int, n_claims: int) -> str:
    missing = f" lacks {', '.join(worst.missing)}" if worst.missing else ""
    best = f"; nearest in the text: “{_cut(worst.best)}”" if worst.best else "; nothing near it in the text"
    return f"{n_failed} of {n_claims} claims: “{_cut(worst.claim)}”{missing}{best}"


def _cut(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= _QUOTED else f"{flat[: _QUOTED - 1]}…"


def shown_claims(row: Mapping[str, Any]) -> list[str]:
    """Return the claims of a row's assistant turns, as a judge is shown them."""
    turns = [message["content"] for message in row["messages"] if message["role"] == "assistant"]
    return [claim.text for turn in turns for claim in claims_of(turn) if claim.is_telling]


def quoted_in(evidence: str, chunk: Chunk) -> bool:
    """Return whether a judge's evidence stands in the chunk, letter by letter but for white space and case."""
    flat = " ".join(evidence.casefold().split()).strip("\"'“”…. ")
    return bool(flat) and flat in " ".join(chunk.text.casefold().split())
