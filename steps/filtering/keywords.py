"""Rows that contain a phrase of the user's lists, as whole words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import model_validator

from steps.filtering.batch import Batch, Outcome
from steps.filtering.patterns import may_match
from steps.filtering.row import Failure, FilterReason
from steps.filtering.words import UNSPACED
from steps.settings import Settings

_UNSPACED_CHARACTER = re.compile(f"[{UNSPACED}]")
#: Characters shown on each side of the phrase in the ledger.
CONTEXT = 30
#: Phrases in one regular expression. RE2 builds its automaton as it reads and starts anew when that grows too large,
#: which some hundred phrases do not bring about.
PHRASES_AT_ONCE = 200


class KeywordSettings(Settings):
    """Which phrases exclude a row."""

    phrases: tuple[str, ...] = ()
    """Words or phrases, compared without regard to case. "ass" does not match "class", and a space in a phrase
    matches any white space. A script that writes no spaces has no word boundaries, and none are asked for."""

    phrases_path: str | None = None
    """File of further phrases, one a line, UTF-8, relative to the working directory; blank lines and those that
    begin with `#` are skipped. It is read with the config and its phrases join `phrases`, so that a changed file is a
    changed config."""

    search_in: Literal["conversation", "prompt", "answer"] = "conversation"
    """Where to look: in all turns, in what the assistant did not write, or in what it wrote."""

    languages: tuple[str, ...] = ()
    """ISO 639-1 codes of the languages whose rows are looked at ("die" is a word of German too); empty for all. The
    language is that of the turns searched."""

    @model_validator(mode="before")
    @classmethod
    def _read_phrases(cls, given: Any) -> Any:
        if not isinstance(given, dict) or given.get("phrases_path") is None:
            return given
        phrases = dict.fromkeys([*given.get("phrases", ()), *_phrases_of(Path(given["phrases_path"]))])
        return {**given, "phrases": tuple(phrases), "phrases_path": None}

    @model_validator(mode="after")
    def _not_blank(self) -> Self:
        blank = [number for number, phrase in enumerate(self.phrases) if not phrase.strip()]
        if blank:
            raise ValueError(f"phrases[{blank[0]}] is blank and would match every row; remove it")
        if not self.phrases:
            raise ValueError("there is no phrase to look for; give phrases or phrases_path, or set keywords to null")
        return self


def _phrases_of(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"phrases_path={path} is no readable UTF-8 file of phrases, one a line: {error}") from None
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def excluded_keywords(batch: Batch, settings: KeywordSettings) -> Outcome:
    """Find the rows that contain a phrase; `detail` shows the first one with what stands around it."""
    turns = np.flatnonzero(_searched(batch, settings))
    texts = batch.contents.take(pa.array(turns))
    patterns = patterns_of(settings.phrases)
    candidates = [may_match(texts, pattern) for pattern in patterns]
    failures: dict[int, Failure] = {}
    for number in np.flatnonzero(np.logical_or.reduce(candidates)).tolist():
        row = int(batch.turn_rows[turns[number]])
        if row not in failures:
            near = [pattern for pattern, found in zip(patterns, candidates, strict=True) if found[number]]
            detail = _first_phrase(texts[number].as_py(), near)
            if detail is not None:
                failures[row] = Failure(row, FilterReason.KEYWORD, None, detail)
    return Outcome(list(failures.values()))


def _searched(batch: Batch, settings: KeywordSettings) -> npt.NDArray[np.bool_]:
    """Return which turns are looked at."""
    chosen = np.ones(len(batch.turn_rows), np.bool_)
    if settings.search_in != "conversation":
        chosen = batch.is_answer == (settings.search_in == "answer")
    if settings.languages:
        from steps.filtering.languages import detect_languages

        codes, _ = detect_languages(batch.contents.filter(pa.array(chosen)))
        chosen[chosen] = np.asarray(pc.is_in(codes, value_set=pa.array(settings.languages)), np.bool_)
    return chosen


def _first_phrase(text: str, patterns: Sequence[re.Pattern[str]]) -> str | None:
    matches = [match for match in (pattern.search(text) for pattern in patterns) if match]
    if not matches:
        return None
    match = min(matches, key=lambda found: found.start())
    around = text[max(0, match.start() - CONTEXT) : match.end() + CONTEXT]
    return f"{match.group()!r} in “{' '.join(around.split())}”"


@lru_cache(maxsize=8)
def patterns_of(phrases: tuple[str, ...]) -> tuple[re.Pattern[str], ...]:
    """Compile phrases into regular expressions of some hundred each."""
    parts = [phrases[start : start + PHRASES_AT_ONCE] for start in range(0, len(phrases), PHRASES_AT_ONCE)]
    return tuple(re.compile("|".join(_whole_words(phrase) for phrase in part), re.IGNORECASE) for part in parts)


def _whole_words(phrase: str) -> str:
    """Return a pattern of the phrase between word boundaries, where its script has such."""
    parts = phrase.split()
    first, last = parts[0][0], parts[-1][-1]
    before = r"(?<!\w)" if _has_boundary(first) else ""
    after = r"(?!\w)" if _has_boundary(last) else ""
    return before + r"\s+".join(map(re.escape, parts)) + after


def _has_boundary(character: str) -> bool:
    return (character.isalnum() or character == "_") and not _UNSPACED_CHARACTER.match(character)
