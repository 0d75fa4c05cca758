"""Whether a text reads like prose of a web page: the quality rules of Gopher and of FineWeb.

Gopher: Rae et al. 2021 (arXiv:2112.11446), appendix A. FineWeb: Penedo et al. 2024 (arXiv:2406.17557).
Both were made for web pages and keep half of real instruction answers (a good answer may be "Paris", a table, a
program), so that the family is off for instruction data; the preset `web_gopher` switches it on for raw text. Every
default is the paper's. A word is a token as the tokenizer of `steps.kernels.text_tokens` parts them.
"""

from __future__ import annotations

from pydantic import Field

from steps.filtering.answer_stats import divide
from steps.filtering.batch import Batch, Measure, Outcome
from steps.filtering.row import FilterReason
from steps.settings import Settings


class QualitySettings(Settings):
    """Bounds on every assistant turn, all inclusive; `None` switches one off."""

    min_words: int | None = Field(50, ge=0)
    """Least number of words, punctuation not counted (Gopher)."""
    max_words: int | None = Field(100_000, ge=1)
    """Largest number of words, punctuation not counted (Gopher)."""
    min_mean_word_length: float | None = Field(3, ge=0)
    """Least mean length of a word, in characters (Gopher)."""
    max_mean_word_length: float | None = Field(10, ge=1)
    """Largest mean length of a word, in characters (Gopher)."""
    max_hash_fraction: float | None = Field(0.1, ge=0)
    """Hash signs per word (Gopher)."""
    max_ellipsis_fraction: float | None = Field(0.1, ge=0)
    """Ellipses per word (Gopher)."""
    max_bullet_line_fraction: float | None = Field(0.9, ge=0, le=1)
    """Lines that begin with a bullet, of all lines (Gopher)."""
    max_ellipsis_line_fraction: float | None = Field(0.3, ge=0, le=1)
    """Lines that end with an ellipsis, of all lines (Gopher)."""
    min_alphabetic_fraction: float | None = Field(0.8, ge=0, le=1)
    """Words with a letter, of all words and punctuation marks (Gopher)."""
    min_stop_words: int | None = Field(2, ge=0, le=8)
    """How many of the words the, be, to, of, and, that, have, with must occur; English only (Gopher)."""

    min_terminal_line_fraction: float | None = Field(0.12, ge=0, le=1)
    """Lines that end with the end of a sentence, of all lines that are not blank (FineWeb)."""
    max_short_line_fraction: float | None = Field(0.67, ge=0, le=1)
    """Lines of at most 30 characters, of all lines that are not blank (FineWeb)."""
    max_repeated_line_character_fraction: float | None = Field(0.01, ge=0, le=1)
    """Characters in lines that occurred before, of all but line breaks (FineWeb)."""
    max_line_break_fraction: float | None = Field(0.3, ge=0)
    """Line breaks per word: a list has many (FineWeb)."""


def unlike_prose(batch: Batch, settings: QualitySettings) -> Outcome:
    """Measure every assistant turn of the rows; that of a row is its worst turn's."""
    stats = batch.answer_stats()
    reason, chosen, share = FilterReason, settings, stats.share
    words = stats.column("WORDS")
    lengths = share("WORD_CHARACTERS", "WORDS")
    repeated = divide(
        stats.column("REPEATED_FULL_LINE_CHARACTERS"), stats.column("CHARACTERS") - stats.column("LINE_BREAKS")
    )
    lows = (
        (words, chosen.min_words, reason.TOO_FEW_DOCUMENT_WORDS),
        (lengths, chosen.min_mean_word_length, reason.WORDS_TOO_SHORT),
        (share("ALPHA_TOKENS", "TOKENS"), chosen.min_alphabetic_fraction, reason.TOO_FEW_ALPHABETIC_WORDS),
        (stats.column("STOP_WORDS"), chosen.min_stop_words, reason.TOO_FEW_STOP_WORDS),
        (
            share("TERMINAL_LINES", "FULL_LINES"),
            chosen.min_terminal_line_fraction,
            reason.TOO_FEW_LINES_END_SENTENCES,
        ),
    )
    highs = (
        (words, chosen.max_words, reason.TOO_MANY_DOCUMENT_WORDS),
        (lengths, chosen.max_mean_word_length, reason.WORDS_TOO_LONG),
        (share("HASHES", "TOKENS"), chosen.max_hash_fraction, reason.TOO_MANY_HASHES),
        (share("ELLIPSES", "TOKENS"), chosen.max_ellipsis_fraction, reason.TOO_MANY_ELLIPSES),
        (share("BULLET_LINES", "LINES"), chosen.max_bullet_line_fraction, reason.TOO_MANY_BULLET_LINES),
        (share("ELLIPSIS_LINES", "LINES"), chosen.max_ellipsis_line_fraction, reason.TOO_MANY_ELLIPSIS_LINES),
        (share("SHORT_LINES", "FULL_LINES"), chosen.max_short_line_fraction, reason.TOO_MANY_SHORT_LINES),
        (repeated, chosen.max_repeated_line_character_fraction, reason.REPEATED_FULL_LINE_CHARACTERS),
        (share("LINE_BREAKS", "TOKENS"), chosen.max_line_break_fraction, reason.TOO_MANY_LINE_BREAKS),
    )
    measures = [Measure(stats.smallest(values), low, too_low) for values, low, too_low in lows if low is not None]
    measures += [
        Measure(stats.largest(values), high=high, too_high=too_high)
        for values, high, too_high in highs
        if high is not None
    ]
    return Outcome(measures=measures)
