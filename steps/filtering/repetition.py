"""Answers that repeat themselves: lines, paragraphs, and n-grams of words.

The measures are those of Rae et al. 2021, "Scaling Language Models: Methods, Analysis & Insights from Training
Gopher" (arXiv:2112.11446), Table A1. Its thresholds were chosen for web pages: they keep about half of real
instruction answers, whose code and lists repeat rightly. Each threshold here is a looser one of our own, with the
paper's beside it. Among 15,000 real answers of GPTeacher and GSM8K the largest shares seen were 0.20 (lines), 0.59
(one n-gram) and 0.38 (repeated n-grams); a sentence said three times reaches 0.67.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

from pydantic import Field

from steps.filtering.row import Failure, FilterReason, Row, excerpt
from steps.filtering.words import words
from steps.settings import Settings


class RepetitionSettings(Settings):
    """Largest shares of repetition in an assistant turn; `None` switches a measure off."""

    min_words: int = Field(20, ge=1)
    """Shorter turns are not judged: a share of a few words says nothing. Words."""

    max_line_fraction: float | None = Field(0.3, ge=0, le=1)
    """Characters in lines that occurred before, of all characters. The paper: 0.20."""

    max_paragraph_fraction: float | None = Field(0.3, ge=0, le=1)
    """Characters in paragraphs that occurred before, of all characters. The paper: 0.20."""

    min_line_characters: int = Field(12, ge=1)
    """Shorter lines and paragraphs do not count as repeated: code is full of `}` and `end`."""

    max_top_ngram_fraction: float | None = Field(0.65, ge=0, le=1)
    """Characters of the most frequent 2-, 3- or 4-gram of words, of all word characters.
    The paper: 0.20, 0.18, 0.16."""

    max_repeated_ngram_fraction: float | None = Field(0.5, ge=0, le=1)
    """Word positions inside a 10-gram of words that occurred before, of all words. The paper: 0.10 of characters."""


def repetitive(rows: Iterable[Row], settings: RepetitionSettings) -> Iterator[Failure]:
    """Yield the rows with a looping assistant turn; `score` is the share, `detail` what repeats."""
    for row in rows:
        for answer in row.answers:
            found = _first_excess(answer, settings)
            if found:
                yield Failure(row.position, *found)
                break


def _first_excess(answer: str, settings: RepetitionSettings) -> tuple[FilterReason, float, str] | None:
    tokens = words(answer.lower())
    if len(tokens) < settings.min_words:
        return None
    lines = [line.strip() for line in answer.splitlines()]
    paragraphs = [part.strip() for part in answer.split("\n\n")]
    shortest = settings.min_line_characters
    measures: tuple[tuple[FilterReason, float | None, Callable[[], tuple[float, str]]], ...] = (
        (FilterReason.REPEATED_PARAGRAPHS, settings.max_paragraph_fraction, lambda: _repeated(paragraphs, shortest)),
        (FilterReason.REPEATED_LINES, settings.max_line_fraction, lambda: _repeated(lines, shortest)),
        (FilterReason.ONE_NGRAM_DOMINATES, settings.max_top_ngram_fraction, lambda: _top_ngram(tokens)),
        (FilterReason.REPEATED_NGRAMS, settings.max_repeated_ngram_fraction, lambda: _repeated_ngrams(tokens)),
    )
    for reason, limit, measure in measures:
        if limit is not None:
            share, what = measure()
            if share > limit:
                return reason, share, f"{share:.2f} > {limit:g}: {excerpt(what, 60)}"
    return None


def _repeated(parts: list[str], min_characters: int) -> tuple[float, str]:
    """Return the share of characters in parts seen before, and the part that wastes most."""
    total = sum(map(len, parts))
    counts = Counter(part for part in parts if len(part) >= min_characters)
    wasted = {part: (count - 1) * len(part) for part, count in counts.items() if count > 1}
    if not total or not wasted:
        return 0.0, ""
    return sum(wasted.values()) / total, max(wasted, key=wasted.__getitem__)


def _top_ngram(tokens: list[str]) -> tuple[float, str]:
    """Return the largest share of characters that one 2-, 3- or 4-gram covers, and that n-gram."""
    total = sum(map(len, tokens))
    best, what = 0.0, ""
    for n in (2, 3, 4):
        gram, count = Counter(zip(*(tokens[i:] for i in range(n)), strict=False)).most_common(1)[0]
        share = min(1.0, count * sum(map(len, gram)) / total) if count > 1 else 0.0
        if share > best:
            best, what = share, " ".join(gram)
    return best, what


def _repeated_ngrams(tokens: list[str], n: int = 10) -> tuple[float, str]:
    """Return the share of word positions covered by n-grams seen before, and the first such n-gram."""
    seen: set[tuple[str, ...]] = set()
    starts = []
    for start, gram in enumerate(zip(*(tokens[i:] for i in range(n)), strict=False)):
        if gram in seen:
            starts.append(start)
        seen.add(gram)
    if not starts:
        return 0.0, ""
    # Each repeated n-gram covers n positions, less those that the next one covers as well.
    covered = n + sum(min(n, following - start) for start, following in pairwise(starts))
    return covered / len(tokens), " ".join(tokens[starts[0] : starts[0] + n])
