"""What is judged and what a judge says of it: the interface of every kind of judge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

import pyarrow as pa

from steps.llm.request import Reply
from steps.rows import VERDICTS, table


class Unscored(StrEnum):
    """Why there is no score. What is unscored never gets a default."""

    NOT_JUDGED = "not_judged"
    NO_ANSWER = "no_answer"
    ENDPOINT_FAILED = "endpoint_failed"
    TRUNCATED_REPLY = "truncated_reply"
    UNPARSEABLE_REPLY = "unparseable_reply"
    OUT_OF_SCALE = "out_of_scale"
    TOO_FEW_ROWS_TO_TRAIN = "too_few_rows_to_train"
    TOO_FEW_JUDGES = "too_few_judges"
    TOO_LONG = "too_long"
    NO_REFERENCE = "no_reference"
    NOT_RENDERABLE = "not_renderable"


class Item(NamedTuple):
    """One answer to grade."""

    item_id: str
    prompt: Sequence[Mapping[str, str]]
    answer: str
    reference: str | None = None
    """An answer known to be good, where there is one; for a rubric of grounding, the source text."""
    group_id: str | None = None
    """Items of one group stay together where a judge learns from the items themselves; none: a group of its own."""


class Pair(NamedTuple):
    """Two answers to compare."""

    item_id: str
    prompt: Sequence[Mapping[str, str]]
    first: str
    second: str
    reference: str | None = None


class Verdict(NamedTuple):
    """One row of `rows.VERDICTS`: one judge on one item, or on one pair in one order."""

    item_id: str
    judge: str
    fingerprint: str
    score: float | None
    unscored_reason: Unscored | None = None
    order: str | None = None
    criteria: Mapping[str, float] | None = None
    probabilities: Mapping[str, float] | None = None
    rationale: str | None = None
    detail: str | None = None
    reply: Reply | None = None
    """The call behind it; None for judges that are no chat model."""
    prompt_version: str | None = None
    prompt_sha256: str | None = None


class Judge(Protocol):
    """Grades answers one by one."""

    name: str
    """Its name in the config, unique among the judges of a stage."""
    fingerprint: str
    """SHA-256 of all that decides its scores: kind, model, prompt file, scale. A calibration holds for one of these."""
    scale: tuple[float, float]
    """Lowest and highest score."""
    report: dict[str, Any]
    """What the judge has to say about itself after scoring, as plain values, e.g. how well a trained one was found to
    tell held-out rows apart; empty for most."""

    def score(self, items: Sequence[Item]) -> list[Verdict]:
        """Return one verdict per item, in order; the order of the items decides nothing."""


class PairwiseJudge(Protocol):
    """Compares two answers to one prompt."""

    name: str
    fingerprint: str

    def compare(self, pairs: Sequence[Pair]) -> list[tuple[Verdict, Verdict]]:
        """Return for each pair the verdicts of both orders, `ab` then `ba`; each `score` is P(the first shown wins)."""


class Preference(NamedTuple):
    """Both orders of one comparison, put together."""

    first_wins: float | None
    """Mean over both orders of P(`Pair.first` is better), in [0, 1]; None if one of them has no score."""
    consistent: bool | None
    """Whether both orders name the same winner (or both a tie)."""


def preference_of(ab: Verdict, ba: Verdict) -> Preference:
    """Combine the verdicts of both orders.

    >>> ab = Verdict("1", "j", "f", 0.9, order="ab")
    >>> preference_of(ab, ab._replace(score=0.2, order="ba"))
    Preference(first_wins=0.85, consistent=True)
    """
    if ab.score is None or ba.score is None:
        return Preference(None, None)
    swapped = 1.0 - ba.score
    sides = [(score > 0.5) - (score < 0.5) for score in (ab.score, swapped)]
    return Preference(round((ab.score + swapped) / 2, 12), sides[0] == sides[1])


def verdict_table(verdicts: Sequence[Verdict]) -> pa.Table:
    """Return the verdicts as a table of schema `rows.VERDICTS`."""
    return table([_row(one) for one in verdicts], VERDICTS)


def _row(verdict: Verdict) -> dict[str, Any]:
    row = verdict._asdict()
    reply = row.pop("reply")
    row["criteria"] = list((verdict.criteria or {}).items())
    row["probabilities"] = list((verdict.probabilities or {}).items())
    if reply is not None:
        row |= reply.call
    return row
