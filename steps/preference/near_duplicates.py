"""Pairs whose answers are nearly the same: what DPO learns from them is noise, or worse.

Where chosen and rejected differ in a few tokens only, DPO lowers the likelihood of both (Pal et al. 2024, "Smaug:
Fixing failure modes of preference optimisation with DPO-Positive", arXiv:2402.13228), and a judge that prefers one of
them mostly guesses.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from pydantic import Field

from steps.dedup.shingles import jaccard, shingles
from steps.filtering.words import normalise, words
from steps.ledger import Drops
from steps.preference.candidate import Candidate, text_of
from steps.settings import Settings


class NearDuplicateSettings(Settings):
    """From when on two answers are nearly the same."""

    max_shingle_similarity: float | None = Field(default=0.9, gt=0, le=1)
    """Jaccard similarity of the answers' word shingles from which a pair goes; none compares no shingles."""
    shingle_words: int = Field(default=3, ge=1, le=20)
    """Words of a shingle."""
    max_edit_ratio: float | None = Field(default=0.95, gt=0, le=1)
    """Share of equal words in a best alignment of the answers (1 − insertions and deletions ÷ words of both) from
    which a pair goes; none aligns nothing."""
    spare_checked: bool = True
    """Keep pairs that a verifiable check told apart: one wrong number is what they teach. False drops them too."""


class NearDuplicateDrop(StrEnum):
    """Why a pair goes."""

    NEAR_DUPLICATE_ANSWERS = "near_duplicate_answers"


class Similarity(NamedTuple):
    """Which measure reached its threshold."""

    measure: str
    value: float
    threshold: float


def drop_near_duplicates(candidates: Iterable[Candidate], settings: NearDuplicateSettings, drops: Drops) -> None:
    """Enter into `drops` every pair whose answers are nearly the same, with the measure and its value."""
    for candidate in candidates:
        if candidate.is_checked and settings.spare_checked:
            continue
        found = similar_answers(text_of(candidate.pair["chosen"]), text_of(candidate.pair["rejected"]), settings)
        if found is not None:
            detail = f"{found.measure}, at most {found.threshold:g}"
            score = round(found.value, 4)
            drops.add(candidate.ledger_id, NearDuplicateDrop.NEAR_DUPLICATE_ANSWERS, score=score, detail=detail)


def similar_answers(chosen: str, rejected: str, settings: NearDuplicateSettings) -> Similarity | None:
    """Return the first measure that calls two answers nearly the same, or None.

    >>> settings = NearDuplicateSettings(max_edit_ratio=0.8)
    >>> similar_answers("the red fox ran far away", "The red fox ran far.", settings)
    Similarity(measure='edit ratio', value=0.9090909090909091, threshold=0.8)
    >>> similar_answers("the red fox ran", "a blue whale swam", settings) is None
    True
    """
    from rapidfuzz.distance import Indel

    left, right = words(normalise(chosen)), words(normalise(rejected))
    if settings.max_shingle_similarity is not None:
        value = jaccard(shingles(left, settings.shingle_words), shingles(right, settings.shingle_words))
        if value >= settings.max_shingle_similarity:
            return Similarity(f"{settings.shingle_words}-word shingles", value, settings.max_shingle_similarity)
    if settings.max_edit_ratio is not None and (left or right):
        value = Indel.normalized_similarity(left, right)
        if value >= settings.max_edit_ratio:
            return Similarity("edit ratio", value, settings.max_edit_ratio)
    return None
