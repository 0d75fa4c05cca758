"""What a judge says of one row."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Unscored(StrEnum):
    """Why a row has no score. An unscored row never gets a default."""

    NOT_JUDGED = "not_judged"
    NO_ANSWER = "no_answer"
    ENDPOINT_FAILED = "endpoint_failed"
    TRUNCATED_REPLY = "truncated_reply"
    UNPARSEABLE_REPLY = "unparseable_reply"
    OUT_OF_SCALE = "out_of_scale"
    TOO_FEW_ROWS_TO_TRAIN = "too_few_rows_to_train"


class Judgement(NamedTuple):
    """The columns of `rows.JUDGEMENT` for one row, and `detail` for the ledger."""

    score: float | None
    unscored_reason: Unscored | None
    rationale: str | None
    judge: str
    judge_version: str
    cost_usd: float | None = None
    detail: str | None = None
