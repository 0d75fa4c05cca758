"""What becomes of scores: rows below a bound go, or all but the best."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Literal, NamedTuple

from pydantic import Field, model_validator

from steps.rows import content_id
from steps.settings import Settings


class JudgeDrop(StrEnum):
    """Why judging drops a row."""

    BELOW_MIN_SCORE = "below_min_score"
    BELOW_TOP_K = "below_top_k"
    UNSCORED = "unscored"


class SelectSettings(Settings):
    """Which rows stay; exactly one of `min_score`, `top_k` and `top_fraction`."""

    min_score: float | None = None
    """Rows that score below go. On the judge's own scale; of a jury, 0 to 1."""
    top_k: int | None = Field(default=None, ge=1)
    """Rows with the best scores that stay; of equal scores a seeded choice."""
    top_fraction: float | None = Field(default=None, gt=0, le=1)
    """Fraction of the scored rows that stays, rounded up."""
    per: Literal["source", "kind"] | None = None
    """Take `top_k` or `top_fraction` of each source or kind by itself, so that an easy one does not fill all places."""
    unscored: Literal["keep", "drop"] = "keep"
    """What becomes of rows without a score; kept ones take no place of `top_k`."""

    @model_validator(mode="after")
    def _is_one(self) -> SelectSettings:
        given = [name for name in ("min_score", "top_k", "top_fraction") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"set exactly one of min_score, top_k and top_fraction; found {', '.join(given) or 'none'}"
            )
        if self.per is not None and self.min_score is not None:
            raise ValueError("per goes with top_k or top_fraction: min_score is the same bound for every row")
        return self


class Cut(NamedTuple):
    """Why a row goes."""

    reason: JudgeDrop
    detail: str


class Scored(NamedTuple):
    """What selection looks at."""

    row_id: str
    group: str
    score: float | None


def select(rows: Sequence[Scored], settings: SelectSettings, seed: int) -> dict[str, Cut]:
    """Return the rows that go, with the reason.

    Args:
        rows: All rows; their order decides nothing. `group` is the value of `settings.per`, or the same for all.
        settings: What stays.
        seed: Decides among equal scores at the border.
    """
    cuts = {}
    if settings.unscored == "drop":
        cuts = {row.row_id: Cut(JudgeDrop.UNSCORED, "select.unscored=drop") for row in rows if row.score is None}
    if settings.min_score is not None:
        for row in rows:
            if row.score is not None and row.score < settings.min_score:
                cuts[row.row_id] = Cut(JudgeDrop.BELOW_MIN_SCORE, f"min_score={settings.min_score:g}")
        return cuts
    groups: dict[str, list[tuple[float, str]]] = {}
    for row in rows:
        if row.score is not None:
            groups.setdefault(row.group, []).append((row.score, row.row_id))
    for group, scored in groups.items():
        cuts |= _below_the_best(group, scored, settings, seed)
    return cuts


def _below_the_best(group: str, scored: list[tuple[float, str]], settings: SelectSettings, seed: int) -> dict[str, Cut]:
    ranked = sorted(scored, key=lambda row: (-row[0], content_id("select", row[1], seed)))
    # Exact in whole numbers: 0.1 × 30 must not become 4 by a rounding error.
    places = settings.top_k or -(-round((settings.top_fraction or 0) * 1e9) * len(ranked) // 10**9)
    if len(ranked) <= places:
        return {}
    border = ranked[places - 1][0]
    bound = f"top_k={settings.top_k}" if settings.top_k else f"top_fraction={settings.top_fraction:g}"
    where = f" of {settings.per} {group}" if settings.per else ""
    return {
        row_id: Cut(
            JudgeDrop.BELOW_TOP_K, f"{bound}{where}: rank {rank} of {len(ranked)}, the last kept has {border:g}"
        )
        for rank, (_, row_id) in enumerate(ranked[places:], places + 1)
    }
