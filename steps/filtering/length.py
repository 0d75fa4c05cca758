"""Length of prompt, answer and conversation in words, characters and tokens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from steps.errors import ConfigError
from steps.filtering.batch import Batch, Measure, Outcome, TokenCounter
from steps.filtering.engine import beyond
from steps.filtering.row import Failure, FilterReason
from steps.settings import Settings

PARTS = ("prompt", "answer", "conversation")
UNITS = ("characters", "words", "tokens")


class LengthSettings(Settings):
    """Bounds, both inclusive; `None` means no bound.

    The prompt is all that the assistant did not write (system turns too), the answer all that it wrote. A character
    of a script without spaces counts as a word. Token counts leave out what the chat template adds, which is some
    four tokens a turn.
    """

    min_prompt_characters: int | None = Field(None, ge=0)
    """Least number of Unicode code points in the prompt."""
    max_prompt_characters: int | None = Field(None, ge=1)
    """Largest number of Unicode code points in the prompt."""
    min_answer_characters: int | None = Field(None, ge=0)
    """Least number of Unicode code points in the answer."""
    max_answer_characters: int | None = Field(None, ge=1)
    """Largest number of Unicode code points in the answer."""

    min_conversation_characters: int | None = Field(None, ge=0)
    """Least number of Unicode code points in prompt and answer together."""
    max_conversation_characters: int | None = Field(None, ge=1)
    """Largest number of Unicode code points in prompt and answer together."""

    min_prompt_words: int | None = Field(1, ge=0)
    """Least number of words in the prompt. One keeps "Hello" and drops a prompt of punctuation."""
    max_prompt_words: int | None = Field(None, ge=1)
    """Largest number of words in the prompt."""
    min_answer_words: int | None = Field(1, ge=0)
    """Least number of words in the answer. One, because "Yes" and "Paris" are answers."""
    max_answer_words: int | None = Field(None, ge=1)
    """Largest number of words in the answer."""

    min_conversation_words: int | None = Field(None, ge=0)
    """Least number of words in prompt and answer together."""
    max_conversation_words: int | None = Field(None, ge=1)
    """Largest number of words in prompt and answer together."""

    min_prompt_tokens: int | None = Field(None, ge=0)
    """Least number of the base model's tokens in the prompt."""
    max_prompt_tokens: int | None = Field(None, ge=1)
    """Largest number of the base model's tokens in the prompt."""
    min_answer_tokens: int | None = Field(None, ge=0)
    """Least number of the base model's tokens in the answer."""
    max_answer_tokens: int | None = Field(None, ge=1)
    """Largest number of the base model's tokens in the answer."""
    min_conversation_tokens: int | None = Field(None, ge=0)
    """Least number of tokens in prompt and answer together."""
    max_conversation_tokens: int | None = Field(None, ge=2)
    """Largest number of tokens in prompt and answer together; set it below the training window."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for part in PARTS:
            for unit in UNITS:
                low, high = self.bounds(part, unit)
                if low is not None and high is not None and low > high:
                    raise ValueError(f"min_{part}_{unit}={low} is above max_{part}_{unit}={high}; no row could pass")
        return self

    @property
    def needs_tokens(self) -> bool:
        """Whether any bound counts tokens, so that the base model's tokenizer is needed."""
        return any(self.bounds(part, "tokens") != (None, None) for part in PARTS)

    def bounds(self, part: str, unit: str) -> tuple[int | None, int | None]:
        """Return the least and the largest length of a part in a unit."""
        return getattr(self, f"min_{part}_{unit}"), getattr(self, f"max_{part}_{unit}")


def out_of_bounds(batch: Batch, settings: LengthSettings) -> Outcome:
    """Find the rows that are too short or too long; the measures are the lengths found.

    Raises:
        ConfigError: if tokens are bounded and the batch has no token counter.
    """
    measures = [measure for unit in UNITS[:2] for measure in _measures(_lengths(batch, unit, settings), settings, unit)]
    failures: list[Failure] = []
    if settings.needs_tokens:
        if batch.count_tokens is None:
            raise ConfigError(
                "curation.filter.length bounds tokens, yet no tokenizer is at hand; name a base model, or "
                "bound words instead"
            )
        rows = np.ones(batch.n_rows, np.bool_)
        for measure in measures:
            rows &= ~np.logical_or(*beyond(measure))
        tokens = _tokens(batch, rows, batch.count_tokens)
        failures = list(_long_sums(tokens, settings))
        measures += _measures(tokens, settings, "tokens")
    return Outcome(failures, measures=measures)


def _lengths(batch: Batch, unit: str, settings: LengthSettings) -> dict[str, npt.NDArray[np.float64]]:
    """Return the length of every part that is bounded, shape (rows,)."""
    wanted = [part for part in PARTS if settings.bounds(part, unit) != (None, None)]
    sides = [part for part in PARTS[:2] if part in wanted or "conversation" in wanted]
    texts = {"prompt": batch.prompts if "prompt" in sides else None, "answer": batch.answers}
    count = _characters if unit == "characters" else _words
    sizes = {part: count(texts[part]) for part in sides}
    if "conversation" in wanted:
        sizes["conversation"] = sizes["prompt"] + sizes["answer"]
    return {part: sizes[part] for part in wanted}


def _characters(texts: pa.Array) -> npt.NDArray[np.float64]:
    return np.asarray(pc.utf8_length(texts), np.float64)


def _words(texts: pa.Array) -> npt.NDArray[np.float64]:
    from steps.kernels.buffers import texts_of
    from steps.kernels.characters import characters
    from steps.kernels.text_words import count_words

    flat = texts_of(texts)
    return np.asarray(count_words(flat.data, flat.offsets, characters().kinds), np.float64)


def _tokens(
    batch: Batch, rows: npt.NDArray[np.bool_], count_tokens: TokenCounter
) -> dict[str, npt.NDArray[np.float64]]:
    """Count tokens, which is dear, of the rows that passed the cheap bounds; NaN for the others."""
    sizes = {}
    for part, texts in (("prompt", batch.prompts), ("answer", batch.answers)):
        sizes[part] = np.full(batch.n_rows, np.nan)
        sizes[part][rows] = count_tokens(texts.filter(pa.array(rows)).to_pylist())
    return {**sizes, "conversation": sizes["prompt"] + sizes["answer"]}


def _measures(sizes: dict[str, npt.NDArray[np.float64]], settings: LengthSettings, unit: str) -> Iterator[Measure]:
    for part, values in sizes.items():
        low, high = settings.bounds(part, unit)
        if (low, high) != (None, None):
            few, many = FilterReason(f"too_few_{part}_{unit}"), FilterReason(f"too_many_{part}_{unit}")
            yield Measure(values, low, few, high, many)


def _long_sums(sizes: dict[str, npt.NDArray[np.float64]], settings: LengthSettings) -> Iterator[Failure]:
    """Yield the rows that fail by the sum of their tokens alone, since that sum wants its parts shown."""
    limit = settings.max_conversation_tokens
    if limit is None:
        return
    fine = sizes["conversation"] > limit
    for part in PARTS[:2]:
        low, high = settings.bounds(part, "tokens")
        fine &= ~np.logical_or(*beyond(Measure(sizes[part], low, None, high, None)))
    for row in np.flatnonzero(fine).tolist():
        prompt, answer = int(sizes["prompt"][row]), int(sizes["answer"][row])
        detail = f"{prompt} + {answer} > {limit}"
        yield Failure(row, FilterReason.TOO_MANY_CONVERSATION_TOKENS, prompt + answer, detail)
