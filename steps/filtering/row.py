"""What a filter rule sees of a row, and what it says about one that fails."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

import pyarrow as pa


class FilterReason(StrEnum):
    """Why a row was dropped. Each value states the failure."""

    EMPTY_CONVERSATION = "empty_conversation"
    UNKNOWN_ROLE = "unknown_role"
    EMPTY_TURN = "empty_turn"
    SYSTEM_NOT_FIRST = "system_turn_not_first"
    ROLES_DO_NOT_ALTERNATE = "roles_do_not_alternate"
    NOT_STARTING_WITH_USER = "not_starting_with_user"
    NOT_ENDING_WITH_ASSISTANT = "not_ending_with_assistant"

    TOO_FEW_PROMPT_WORDS = "too_few_prompt_words"
    TOO_MANY_PROMPT_WORDS = "too_many_prompt_words"
    TOO_FEW_ANSWER_WORDS = "too_few_answer_words"
    TOO_MANY_ANSWER_WORDS = "too_many_answer_words"
    TOO_FEW_PROMPT_CHARACTERS = "too_few_prompt_characters"
    TOO_MANY_PROMPT_CHARACTERS = "too_many_prompt_characters"
    TOO_FEW_ANSWER_CHARACTERS = "too_few_answer_characters"
    TOO_MANY_ANSWER_CHARACTERS = "too_many_answer_characters"
    TOO_FEW_PROMPT_TOKENS = "too_few_prompt_tokens"
    TOO_MANY_PROMPT_TOKENS = "too_many_prompt_tokens"
    TOO_FEW_ANSWER_TOKENS = "too_few_answer_tokens"
    TOO_MANY_ANSWER_TOKENS = "too_many_answer_tokens"
    TOO_FEW_CONVERSATION_CHARACTERS = "too_few_conversation_characters"
    TOO_MANY_CONVERSATION_CHARACTERS = "too_many_conversation_characters"
    TOO_FEW_CONVERSATION_WORDS = "too_few_conversation_words"
    TOO_MANY_CONVERSATION_WORDS = "too_many_conversation_words"
    TOO_FEW_CONVERSATION_TOKENS = "too_few_conversation_tokens"
    TOO_MANY_CONVERSATION_TOKENS = "too_many_conversation_tokens"

    UNCLOSED_CODE_FENCE = "unclosed_code_fence"
    INVALID_JSON = "invalid_json"
    INVALID_PYTHON = "invalid_python"

    REFUSAL = "refusal"
    AI_BOILERPLATE = "ai_boilerplate"
    KEYWORD = "excluded_keyword"

    REPEATED_LINES = "repeated_lines"
    REPEATED_LINE_CHARACTERS = "repeated_line_characters"
    REPEATED_PARAGRAPHS = "repeated_paragraphs"
    REPEATED_PARAGRAPH_CHARACTERS = "repeated_paragraph_characters"
    TOP_2_GRAM = "top_2_gram_dominates"
    TOP_3_GRAM = "top_3_gram_dominates"
    TOP_4_GRAM = "top_4_gram_dominates"
    REPEATED_5_GRAMS = "repeated_5_grams"
    REPEATED_6_GRAMS = "repeated_6_grams"
    REPEATED_7_GRAMS = "repeated_7_grams"
    REPEATED_8_GRAMS = "repeated_8_grams"
    REPEATED_9_GRAMS = "repeated_9_grams"
    REPEATED_10_GRAMS = "repeated_10_grams"

    TOO_FEW_DOCUMENT_WORDS = "too_few_document_words"
    TOO_MANY_DOCUMENT_WORDS = "too_many_document_words"
    WORDS_TOO_SHORT = "words_too_short"
    WORDS_TOO_LONG = "words_too_long"
    TOO_MANY_HASHES = "too_many_hashes"
    TOO_MANY_ELLIPSES = "too_many_ellipses"
    TOO_MANY_BULLET_LINES = "too_many_bullet_lines"
    TOO_MANY_ELLIPSIS_LINES = "too_many_ellipsis_lines"
    TOO_FEW_ALPHABETIC_WORDS = "too_few_alphabetic_words"
    TOO_FEW_STOP_WORDS = "too_few_stop_words"
    TOO_FEW_LINES_END_SENTENCES = "too_few_lines_end_sentences"
    TOO_MANY_SHORT_LINES = "too_many_short_lines"
    REPEATED_FULL_LINE_CHARACTERS = "repeated_full_line_characters"
    TOO_MANY_LINE_BREAKS = "too_many_line_breaks"

    TOO_FEW_SENTENCES = "too_few_sentences"
    CURLY_BRACKET = "curly_bracket"
    LOREM_IPSUM = "lorem_ipsum"

    TOO_MANY_URLS = "too_many_urls"
    TOO_MANY_DIGITS = "too_many_digits"
    TOO_MANY_SYMBOLS = "too_many_symbols"
    TOO_MUCH_UPPERCASE = "too_much_uppercase"

    # Checks of content. A value that ends in `_masked` or `_found` is a remark on a row that stays.
    LANGUAGE_NOT_ALLOWED = "language_not_allowed"
    LANGUAGE_EXCLUDED = "language_excluded"
    LANGUAGE_UNCLEAR = "language_unclear"
    ANSWER_IN_ANOTHER_LANGUAGE = "answer_in_another_language"
    INVALID_CODE = "invalid_code"
    JSON_BREAKS_SCHEMA = "json_breaks_schema"
    MALFORMED_TABLE = "malformed_table"
    UNBALANCED_MATHS = "unbalanced_maths"
    BROKEN_CALCULATION = "broken_calculation"
    WRONG_ARITHMETIC = "wrong_arithmetic"
    PERSONAL_DATA = "personal_data"
    PERSONAL_DATA_MASKED = "personal_data_masked"
    PERSONAL_DATA_FOUND = "personal_data_found"
    SECRET = "secret"  # noqa: S105
    SECRET_MASKED = "secret_masked"  # noqa: S105
    SECRET_FOUND = "secret_found"  # noqa: S105
    TOXIC_WORDS = "toxic_words"
    TOXIC_LANGUAGE = "toxic_language"


class Turn(NamedTuple):
    """One message."""

    role: str
    content: str


class Row(NamedTuple):
    """One example. `position` is its zero-based place in the table that is being filtered."""

    position: int
    kind: str
    turns: tuple[Turn, ...]

    @property
    def prompt(self) -> str:
        """All that the assistant did not write, turns separated by a blank line."""
        return "\n\n".join(turn.content for turn in self.turns if turn.role != "assistant")

    @property
    def answers(self) -> list[str]:
        """The assistant's turns."""
        return [turn.content for turn in self.turns if turn.role == "assistant"]

    @property
    def answer(self) -> str:
        """The assistant's turns, separated by a blank line."""
        return "\n\n".join(self.answers)


class Failure(NamedTuple):
    """A row that fails a rule: the reason, the number that decided, and what was seen."""

    position: int
    reason: FilterReason
    score: float | None = None
    detail: str | None = None


def rows_of(examples: pa.Table) -> Iterator[Row]:
    """Yield the rows of a table of schema `EXAMPLES`, in order."""
    columns = zip(examples["kind"].to_pylist(), examples["messages"].to_pylist(), strict=True)
    for position, (kind, messages) in enumerate(columns):
        yield Row(position, kind, tuple(Turn(message["role"], message["content"]) for message in messages or ()))


def excerpt(text: str, max_characters: int = 80) -> str:
    """Return the beginning of a text on one line, for the `detail` of a ledger row."""
    line = " ".join(text.split())
    return line if len(line) <= max_characters else line[: max_characters - 1] + "…"
