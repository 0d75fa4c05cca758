"""Rows with several answers and a score or a rank for each, as UltraFeedback, Nectar and their likes have them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

from steps.extraction.reasons import ExtractDrop, UnusableError

#: Keys of a list of answers: of objects that hold text and score, or of texts beside a list of `MARK_KEYS`.
LIST_KEYS = ("completions", "answers", "generations", "responses", "replies")
_TEXT_KEYS = ("response", "text", "content", "completion", "answer", "generation")
#: Of an answer, or as a list beside the answers. Of scores the highest is best, of ranks the lowest.
_SCORE_KEYS = ("overall_score", "score", "rating", "scores", "ratings")
_RANK_KEYS = ("rank", "ranks")


class ScoredPair(NamedTuple):
    """Two answers of one row; a rank is a negative score, so that more is better in both."""

    chosen: str
    rejected: str
    chosen_score: float
    rejected_score: float


def has_scored_answers(row: Mapping[str, Any]) -> bool:
    """Return whether a row is of this form."""
    key = _list_key(row)
    if key is None:
        return False
    marked = [row, *(answer for answer in row[key] if isinstance(answer, Mapping))]
    return any(one.get(name) is not None for one in marked for name in (*_SCORE_KEYS, *_RANK_KEYS))


def scored_pairs(row: Mapping[str, Any]) -> Iterator[ScoredPair]:
    """Yield every pair of answers of different score; answers without a score are in no pair, equal scores are none.

    Raises:
        UnusableError: if an answer is no text, or there are not as many scores as answers.
    """
    key = _list_key(row)
    answers: Sequence[Any] = row[key] if key is not None else ()
    texts = [_text(answer, f"{key}[{number}]") for number, answer in enumerate(answers)]
    found = [(text, score) for text, score in zip(texts, _scores(row, answers), strict=True) if score is not None]
    ordered = sorted(found, key=lambda answer: -answer[1])
    for (better, high), (worse, low) in combinations(ordered, 2):
        if high > low:
            yield ScoredPair(better, worse, high, low)


def _list_key(row: Mapping[str, Any]) -> str | None:
    return next((key for key in LIST_KEYS if isinstance(row.get(key), list) and row[key]), None)


def _text(answer: Any, place: str) -> str:
    if isinstance(answer, Mapping):
        answer = next((answer[key] for key in _TEXT_KEYS if answer.get(key) is not None), None)
    if not isinstance(answer, str):
        raise UnusableError(ExtractDrop.WRONG_TYPE, f"{place} holds no text; expected one of {', '.join(_TEXT_KEYS)}")
    return answer


def _scores(row: Mapping[str, Any], answers: Sequence[Any]) -> list[float | None]:
    """Return the score of each answer: its own, or the one at its place in a list beside the answers."""
    if isinstance(answers[0], Mapping):
        return [_score_of(answer) for answer in answers]
    keys = (*_SCORE_KEYS, *_RANK_KEYS)
    key = next((key for key in keys if isinstance(row.get(key), list)), None)
    marks = row[key] if key is not None else ()
    if len(marks) != len(answers):
        raise UnusableError(ExtractDrop.WRONG_TYPE, f"{len(answers)} answers and {len(marks)} scores ({key})")
    sign = -1 if key in _RANK_KEYS else 1
    return [None if (number := _number(mark)) is None else sign * number for mark in marks]


def _score_of(answer: Any) -> float | None:
    if not isinstance(answer, Mapping):
        return None
    score = next((number for key in _SCORE_KEYS if (number := _number(answer.get(key))) is not None), None)
    if score is not None:
        return score
    rank = next((number for key in _RANK_KEYS if (number := _number(answer.get(key))) is not None), None)
    return None if rank is None else -rank


def _number(value: Any) -> float | None:
    """Return a finite number, also of text such as `4` (UltraFeedback); `N/A` is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
