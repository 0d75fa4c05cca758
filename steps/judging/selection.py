"""Which rows stay, by their scores: a lower bound, the best k, or the best share. Whole columns, no row by itself."""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field, model_validator

from steps.rows import content_id
from steps.settings import Settings


class SelectSettings(Settings):
    """Exactly one of the three rules. Rows without a score take no part and stay."""

    min_score: float | None = None
    """Rows that score below go. On the judge's own scale; of a jury in [0, 1]."""
    top_k: int | None = Field(default=None, ge=0)
    """Scored rows that stay, the best ones."""
    top_fraction: float | None = Field(default=None, gt=0, le=1)
    """Share of the scored rows that stays, the best ones, rounded up."""
    per: Literal["source", "kind"] | None = None
    """Applies `top_k` or `top_fraction` within each source or kind, so that a strictly graded one is not lost; none
    ranks all rows together."""

    @model_validator(mode="after")
    def _is_one_rule(self) -> SelectSettings:
        given = [name for name in ("min_score", "top_k", "top_fraction") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"set exactly one of min_score, top_k and top_fraction (found: {', '.join(given) or 0})")
        if self.per is not None and self.min_score is not None:
            raise ValueError("per belongs to top_k and top_fraction; min_score is one bound for all rows")
        return self

    def describe(self) -> str:
        """Say the rule as it stands in the config.

        >>> SelectSettings(top_fraction=0.3, per="source").describe()
        'top_fraction=0.3 per source'
        """
        if self.min_score is not None:
            return f"min_score={self.min_score:g}"
        rule = f"top_k={self.top_k}" if self.top_k is not None else f"top_fraction={self.top_fraction:g}"
        return f"{rule} per {self.per}" if self.per else rule


class Group(NamedTuple):
    """What the rule did within one group; the name is None where all rows are one."""

    name: str | None
    border: float | None
    """The bound, or the lowest score that stays; None if none is scored or none stays."""
    n_scored: int
    n_kept: int
    n_tied: int
    """Rows exactly at the border among which chance, by seed, had to decide."""


class Selected(NamedTuple):
    """Which rows stay."""

    kept: npt.NDArray[np.bool_]
    border: npt.NDArray[np.float64]
    """For each row the border of its group; NaN where there is none."""
    groups: list[Group]


def select(
    scores: npt.NDArray[np.float64],
    ids: pa.ChunkedArray | pa.Array,
    groups: pa.ChunkedArray | pa.Array | None,
    settings: SelectSettings,
    seed: int,
) -> Selected:
    """Choose rows by score; neither their order nor their number of chunks decides anything.

    Args:
        scores: Shape (n,), NaN for rows without a score: they stay.
        ids: Of the rows. Among rows tied at the border those with the lowest seeded hash of the id stay.
        groups: Column `settings.per` of the rows; None ranks all together.
        settings: The rule.
        seed: Of the choice among ties.
    """
    scored = ~np.isnan(scores)
    kept, border = ~scored, np.full(len(scores), np.nan)
    if settings.min_score is not None:
        kept |= scores >= settings.min_score  # NaN compares false
        border[:] = settings.min_score
        return Selected(
            kept, border, [Group(None, settings.min_score, int(scored.sum()), int((kept & scored).sum()), 0)]
        )
    found = []
    for name, members in _members(groups, len(scores)):
        at = members[scored[members]]
        chosen, lowest, n_tied = _best(scores, at, ids, _size(len(at), settings), seed)
        kept[chosen] = True
        border[members] = np.nan if lowest is None else lowest
        found.append(Group(name, lowest, len(at), len(chosen), n_tied))
    return Selected(kept, border, found)


def _members(groups: pa.ChunkedArray | pa.Array | None, n: int) -> list[tuple[str | None, npt.NDArray[np.int64]]]:
    """Return each group's name and the positions of its rows, by name."""
    if groups is None:
        return [(None, np.arange(n))]
    if not n:
        return []
    column = groups.combine_chunks() if isinstance(groups, pa.ChunkedArray) else groups
    encoded = column.dictionary_encode(null_encoding="encode")
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    order = np.argsort(codes, kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(codes, minlength=len(encoded.dictionary)))[:-1])
    named = zip(encoded.dictionary.to_pylist(), parts, strict=True)
    return sorted(named, key=lambda entry: str(entry[0]))


def _size(n_scored: int, settings: SelectSettings) -> int:
    if settings.top_k is not None:
        return min(settings.top_k, n_scored)
    # 0.07 × 100 is 7.000000000000001: what a product is off by rounding is no further row.
    return math.ceil(round((settings.top_fraction or 0.0) * n_scored, 6))


def _best(
    scores: npt.NDArray[np.float64], at: npt.NDArray[np.int64], ids: Any, size: int, seed: int
) -> tuple[npt.NDArray[np.int64], float | None, int]:
    """Return the positions of the best `size` of the rows `at`, the lowest score among them, and the number of ties."""
    if size == 0:
        return at[:0], None, 0
    values = scores[at]
    lowest = float(np.partition(values, len(values) - size)[len(values) - size])
    above, tied = at[values > lowest], at[values == lowest]
    room = size - len(above)
    if room == len(tied):
        return np.concatenate([above, tied]), lowest, 0
    ranked = sorted(tied.tolist(), key=lambda i: content_id("select", ids[i].as_py(), seed))
    return np.concatenate([above, np.array(ranked[:room], np.int64)]), lowest, len(tied)
