"""Length of prompt and answer in words, characters and tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Self

from pydantic import Field, model_validator

from steps.errors import ConfigError
from steps.filtering.row import Failure, FilterReason, Row
from steps.filtering.words import words
from steps.settings import Settings

TokenCounter = Callable[[list[str]], list[int]]

PARTS = ("prompt", "answer")
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

    min_prompt_words: int | None = Field(1, ge=0)
    """Least number of words in the prompt. One keeps "Hello" and drops a prompt of punctuation."""
    max_prompt_words: int | None = Field(None, ge=1)
    """Largest number of words in the prompt."""
    min_answer_words: int | None = Field(1, ge=0)
    """Least number of words in the answer. One, because "Yes" and "Paris" are answers."""
    max_answer_words: int | None = Field(None, ge=1)
    """Largest number of words in the answer."""

    min_prompt_tokens: int | None = Field(None, ge=0)
    """Least number of the base model's tokens in the prompt."""
    max_prompt_tokens: int | None = Field(None, ge=1)
    """Largest number of the base model's tokens in the prompt."""
    min_answer_tokens: int | None = Field(None, ge=0)
    """Least number of the base model's tokens in the answer."""
    max_answer_tokens: int | None = Field(None, ge=1)
    """Largest number of the base model's tokens in the answer."""
    max_conversation_tokens: int | None = Field(None, ge=2)
    """Largest number of tokens in prompt and answer together; set it below the training window."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for part in PARTS:
            for unit in UNITS:
                low, high = getattr(self, f"min_{part}_{unit}"), getattr(self, f"max_{part}_{unit}")
                if low is not None and high is not None and low > high:
                    raise ValueError(f"min_{part}_{unit}={low} is above max_{part}_{unit}={high}; no row could pass")
        return self

    @property
    def needs_tokens(self) -> bool:
        """Whether any bound counts tokens, so that the base model's tokenizer is needed."""
        names = [f"{end}_{part}_tokens" for end in ("min", "max") for part in PARTS] + ["max_conversation_tokens"]
        return any(getattr(self, name) is not None for name in names)


def out_of_bounds(
    rows: Iterable[Row], settings: LengthSettings, count_tokens: TokenCounter | None = None
) -> Iterator[Failure]:
    """Yield the rows that are too short or too long; `score` is the length found.

    Args:
        rows: Rows with a prompt and an answer.
        settings: The bounds.
        count_tokens: Token count of each text; needed when a bound counts tokens.

    Raises:
        ConfigError: if tokens are bounded and there is no `count_tokens`.
    """
    rows = list(rows)
    texts = {"prompt": [row.prompt for row in rows], "answer": [row.answer for row in rows]}
    failed: set[int] = set()
    for unit in UNITS[:2]:
        count = len if unit == "characters" else _count_words
        for part in PARTS:
            sizes = [count(text) for text in texts[part]]
            yield from _check(rows, sizes, settings, part, unit, failed)
    if settings.needs_tokens:
        if count_tokens is None:
            raise ConfigError(
                "curation.filter.length bounds tokens, yet no tokenizer is at hand; name a base model, or "
                "bound words instead"
            )
        left = [row for row in rows if row.position not in failed]
        yield from _check_tokens(left, settings, count_tokens)


def _count_words(text: str) -> int:
    return len(words(text))


def _check_tokens(rows: list[Row], settings: LengthSettings, count_tokens: TokenCounter) -> Iterator[Failure]:
    sizes = {
        "prompt": count_tokens([row.prompt for row in rows]),
        "answer": count_tokens([row.answer for row in rows]),
    }
    failed: set[int] = set()
    for part in PARTS:
        yield from _check(rows, sizes[part], settings, part, "tokens", failed)
    limit = settings.max_conversation_tokens
    for row, prompt, answer in zip(rows, sizes["prompt"], sizes["answer"], strict=True):
        if limit is not None and prompt + answer > limit and row.position not in failed:
            reason = FilterReason.TOO_MANY_CONVERSATION_TOKENS
            yield Failure(row.position, reason, prompt + answer, f"{prompt} + {answer} > {limit}")


def _check(
    rows: Sequence[Row], sizes: Sequence[int], settings: LengthSettings, part: str, unit: str, failed: set[int]
) -> Iterator[Failure]:
    low, high = getattr(settings, f"min_{part}_{unit}"), getattr(settings, f"max_{part}_{unit}")
    for row, size in zip(rows, sizes, strict=True):
        if row.position in failed:
            continue
        if low is not None and size < low:
            failed.add(row.position)
            yield Failure(row.position, FilterReason(f"too_few_{part}_{unit}"), size, f"{size} < {low}")
        elif high is not None and size > high:
            failed.add(row.position)
            yield Failure(row.position, FilterReason(f"too_many_{part}_{unit}"), size, f"{size} > {high}")
