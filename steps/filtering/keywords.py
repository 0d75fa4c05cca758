"""Rows that contain a phrase of the user's list, as whole words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Literal, Self

from pydantic import Field, model_validator

from steps.filtering.row import Failure, FilterReason, Row
from steps.filtering.words import UNSPACED
from steps.settings import Settings

_UNSPACED_CHARACTER = re.compile(f"[{UNSPACED}]")
#: Characters shown on each side of the phrase in the ledger.
CONTEXT = 30


class KeywordSettings(Settings):
    """Which phrases exclude a row."""

    phrases: tuple[str, ...] = Field(min_length=1)
    """Words or phrases, compared without regard to case. "ass" does not match "class", and a space in a phrase
    matches any white space."""

    search_in: Literal["conversation", "prompt", "answer"] = "conversation"
    """Where to look: in all turns, in what the assistant did not write, or in what it wrote."""

    @model_validator(mode="after")
    def _not_blank(self) -> Self:
        blank = [number for number, phrase in enumerate(self.phrases) if not phrase.strip()]
        if blank:
            raise ValueError(f"phrases[{blank[0]}] is blank and would match every row; remove it")
        return self


def excluded_keywords(rows: Iterable[Row], settings: KeywordSettings) -> Iterator[Failure]:
    """Yield the rows that contain a phrase; `detail` shows it with what stands around it."""
    pattern = re.compile("|".join(_whole_words(phrase) for phrase in settings.phrases), re.IGNORECASE)
    for row in rows:
        for text in _texts(row, settings.search_in):
            match = pattern.search(text)
            if match:
                around = text[max(0, match.start() - CONTEXT) : match.end() + CONTEXT]
                detail = f"{match.group()!r} in “{' '.join(around.split())}”"
                yield Failure(row.position, FilterReason.KEYWORD, None, detail)
                break


def _texts(row: Row, search_in: str) -> list[str]:
    if search_in == "conversation":
        return [turn.content for turn in row.turns]
    return [turn.content for turn in row.turns if (turn.role == "assistant") == (search_in == "answer")]


def _whole_words(phrase: str) -> str:
    """Return a pattern of the phrase between word boundaries, where its script has such."""
    parts = phrase.split()
    first, last = parts[0][0], parts[-1][-1]
    before = r"(?<!\w)" if _has_boundary(first) else ""
    after = r"(?!\w)" if _has_boundary(last) else ""
    return before + r"\s+".join(map(re.escape, parts)) + after


def _has_boundary(character: str) -> bool:
    return (character.isalnum() or character == "_") and not _UNSPACED_CHARACTER.match(character)
