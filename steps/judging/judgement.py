"""What a judge says of one row."""

from __future__ import annotations

from typing import NamedTuple

from steps.judging.verdict import Unscored


class Judgement(NamedTuple):
    """The columns of `rows.JUDGEMENT` for one row, and `detail` for the ledger."""

    score: float | None
    unscored_reason: Unscored | None
    rationale: str | None
    judge: str
    judge_version: str
    cost_usd: float | None = None
    detail: str | None = None
