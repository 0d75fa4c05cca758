"""Shares of URLs, digits, signs and capitals: dumps of links, tables of numbers, noise, shouting.

The defaults are ours: loose enough for answers that are programs, tables or sums. None of the papers bounds these for
instruction data.
"""

from __future__ import annotations

import numpy as np
from pydantic import Field

from steps.filtering.answer_stats import divide
from steps.filtering.batch import Batch, Measure, Outcome
from steps.filtering.row import FilterReason
from steps.settings import Settings


class RatioSettings(Settings):
    """Largest shares in an assistant turn; `None` switches a measure off."""

    min_characters: int = Field(80, ge=0)
    """Shorter turns are not judged: "42" is an answer, and so is a link. Unicode code points."""

    max_url_fraction: float | None = Field(0.7, ge=0, le=1)
    """Characters of http and https URLs, of all characters."""

    max_digit_fraction: float | None = Field(0.7, ge=0, le=1)
    """Digits, of all letters, digits and signs."""

    max_symbol_fraction: float | None = Field(0.6, ge=0, le=1)
    """Characters that are neither letters, digits nor white space, of those and letters and digits."""

    max_uppercase_fraction: float | None = Field(0.7, ge=0, le=1)
    """Upper-case letters, of all letters. SQL and constants may have many."""


def lopsided(batch: Batch, settings: RatioSettings) -> Outcome:
    """Measure every assistant turn of the rows; that of a row is its worst turn's."""
    stats = batch.answer_stats()
    judged = stats.column("CHARACTERS") >= settings.min_characters
    visible = stats.column("LETTERS") + stats.column("DIGITS") + stats.column("SIGNS")
    shares = (
        (stats.share("URL_CHARACTERS", "CHARACTERS"), settings.max_url_fraction, FilterReason.TOO_MANY_URLS),
        (divide(stats.column("DIGITS"), visible), settings.max_digit_fraction, FilterReason.TOO_MANY_DIGITS),
        (divide(stats.column("SIGNS"), visible), settings.max_symbol_fraction, FilterReason.TOO_MANY_SYMBOLS),
        (stats.share("UPPERCASE", "LETTERS"), settings.max_uppercase_fraction, FilterReason.TOO_MUCH_UPPERCASE),
    )
    return Outcome(
        measures=[
            Measure(stats.largest(np.where(judged, values, np.nan)), high=limit, too_high=reason)
            for values, limit, reason in shares
            if limit is not None
        ]
    )
