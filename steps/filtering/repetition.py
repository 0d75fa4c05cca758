"""Answers that repeat themselves: lines, paragraphs, and n-grams of words.

The measures are those of Rae et al. 2021, "Scaling Language Models: Methods, Analysis & Insights from Training
Gopher" (arXiv:2112.11446), Table A1, all thirteen. Its thresholds were chosen for web pages; instruction answers are
shorter, and their code, sums and lists repeat rightly. The defaults here lie just above the largest shares seen among
14,000 real answers of GPTeacher, GSM8K and OpenAssistant (0.39 of lines, 0.49 of one n-gram, 0.34 of repeated
n-grams, loops aside); the paper's stand beside them and are those of the preset `web_gopher`.
`benchmarks/results/presets.md` has what either keeps.

A share is of the characters of the turn. A line or n-gram counts as repeated from its second occurrence on.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field

from steps.filtering.answer_stats import AnswerStats
from steps.filtering.batch import Batch, Measure, Outcome
from steps.filtering.engine import beyond
from steps.filtering.row import Failure, FilterReason, excerpt
from steps.settings import Settings


class RepetitionSettings(Settings):
    """Largest shares of repetition in an assistant turn; `None` switches a measure off."""

    min_words: int = Field(20, ge=0)
    """Shorter turns are not judged: a share of a few words says nothing. Words. The paper: none."""

    min_line_characters: int = Field(12, ge=0)
    """Shorter lines and paragraphs do not count as repeated: code is full of `}` and `end`. The paper: 0."""

    min_occurrences: int = Field(3, ge=1)
    """How often the most frequent n-gram must occur for its share to count. The paper: 1, so that two words alone
    are repetition."""

    max_line_fraction: float | None = Field(0.4, ge=0, le=1)
    """Lines that occurred before, of all lines. The paper: 0.30."""

    max_line_character_fraction: float | None = Field(0.3, ge=0, le=1)
    """Characters in lines that occurred before. The paper: 0.20."""

    max_paragraph_fraction: float | None = Field(0.4, ge=0, le=1)
    """Paragraphs that occurred before, of all paragraphs. The paper: 0.30."""

    max_paragraph_character_fraction: float | None = Field(0.3, ge=0, le=1)
    """Characters in paragraphs that occurred before. The paper: 0.20."""

    max_top_2_gram_fraction: float | None = Field(0.5, ge=0, le=1)
    """Characters of the most frequent 2-gram. The paper: 0.20."""

    max_top_3_gram_fraction: float | None = Field(0.5, ge=0, le=1)
    """Characters of the most frequent 3-gram. The paper: 0.18."""

    max_top_4_gram_fraction: float | None = Field(0.5, ge=0, le=1)
    """Characters of the most frequent 4-gram. The paper: 0.16."""

    max_repeated_5_gram_fraction: float | None = Field(0.5, ge=0, le=1)
    """Characters in 5-grams that occurred before. The paper: 0.15."""

    max_repeated_6_gram_fraction: float | None = Field(0.47, ge=0, le=1)
    """Characters in 6-grams that occurred before. The paper: 0.14."""

    max_repeated_7_gram_fraction: float | None = Field(0.44, ge=0, le=1)
    """Characters in 7-grams that occurred before. The paper: 0.13."""

    max_repeated_8_gram_fraction: float | None = Field(0.42, ge=0, le=1)
    """Characters in 8-grams that occurred before. The paper: 0.12."""

    max_repeated_9_gram_fraction: float | None = Field(0.4, ge=0, le=1)
    """Characters in 9-grams that occurred before. The paper: 0.11."""

    max_repeated_10_gram_fraction: float | None = Field(0.4, ge=0, le=1)
    """Characters in 10-grams that occurred before. The paper: 0.10."""


class _Part(NamedTuple):
    """A measure: its setting, its reason, what is divided by what, and which column's evidence shows it."""

    setting: str
    reason: FilterReason
    part: str
    whole: str
    evidence: str


_PARTS = (
    _Part("max_paragraph_fraction", FilterReason.REPEATED_PARAGRAPHS, "REPEATED_PARAGRAPHS", "PARAGRAPHS",
          "REPEATED_PARAGRAPHS"),
    _Part("max_paragraph_character_fraction", FilterReason.REPEATED_PARAGRAPH_CHARACTERS,
          "REPEATED_PARAGRAPH_CHARACTERS", "CHARACTERS", "REPEATED_PARAGRAPHS"),
    _Part("max_line_fraction", FilterReason.REPEATED_LINES, "REPEATED_LINES", "RUN_LINES", "REPEATED_LINES"),
    _Part("max_line_character_fraction", FilterReason.REPEATED_LINE_CHARACTERS, "REPEATED_LINE_CHARACTERS",
          "CHARACTERS", "REPEATED_LINES"),
    *(
        _Part(f"max_top_{n}_gram_fraction", FilterReason(f"top_{n}_gram_dominates"), f"TOP_{n}", "CHARACTERS",
              f"TOP_{n}")
        for n in (2, 3, 4)
    ),
    *(
        _Part(f"max_repeated_{n}_gram_fraction", FilterReason(f"repeated_{n}_grams"), f"REPEATED_{n}", "CHARACTERS",
              f"REPEATED_{n}")
        for n in range(5, 11)
    ),
)  # fmt: skip


def repetitive(batch: Batch, settings: RepetitionSettings) -> Outcome:
    """Find the rows with a looping assistant turn; `score` is the share, `detail` what repeats."""
    stats = batch.answer_stats(settings.min_line_characters)
    judged = stats.column("WORDS") >= settings.min_words
    measures: list[Measure] = []
    turns, found = [], []
    fresh = np.ones(batch.n_rows, np.bool_)
    for part in _PARTS:
        limit = getattr(settings, part.setting)
        if limit is None:
            continue
        shares = np.where(judged, _shares(stats, part, settings), np.nan)
        measure = Measure(stats.largest(shares), high=limit, too_high=part.reason)
        measures.append(measure)
        rows = np.flatnonzero(beyond(measure)[1] & fresh).tolist()
        fresh[rows] = False
        turns += [stats.worst_turn(shares, row) for row in rows]
        found += [(row, part, limit) for row in rows]
    return Outcome(_failures(batch, stats, turns, found, measures), measures=measures)


def _shares(stats: AnswerStats, part: _Part, settings: RepetitionSettings) -> npt.NDArray[np.float64]:
    shares = stats.share(part.part, part.whole)
    if part.part.startswith("TOP_"):
        rare = stats.column(f"{part.part}_COUNT") < settings.min_occurrences
        shares = np.where(rare, 0.0, np.minimum(shares, 1.0))  # occurrences may overlap
    return shares


def _failures(
    batch: Batch,
    stats: AnswerStats,
    turns: list[int],
    found: list[tuple[int, _Part, float]],
    measures: list[Measure],
) -> list[Failure]:
    """Describe the rows that fall: the share, and what repeats in the worst turn."""
    from steps.kernels import text_stats

    texts = batch.contents.take(pa.array(batch.answer_turns[np.array(turns, np.int64)])).to_pylist()
    shares = {measure.too_high: measure.values for measure in measures}
    places = {part: text_stats.FIRST_EVIDENCE + 2 * text_stats.EVIDENCE.index(getattr(text_stats, part.evidence))
              for part in _PARTS}  # fmt: skip
    failures = []
    for turn, text, (row, part, limit) in zip(turns, texts, found, strict=True):
        place, share = places[part], float(shares[part.reason][row])
        start, end = int(stats.values[turn, place]), int(stats.values[turn, place + 1])
        failures.append(Failure(row, part.reason, share, f"{share:.2f} > {limit:g}: {excerpt(text[start:end], 60)}"))
    return failures
