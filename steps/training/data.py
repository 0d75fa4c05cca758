"""Rows to tokens: what the trainers receive, and which rows they cannot be given, with the reason."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from steps.chat.render import IGNORED, encode, encode_prompt
from steps.errors import InputError, TrainingError
from steps.rows import content_id, repeats_of


class SkipReason(StrEnum):
    """Why a row cannot be trained on."""

    DOES_NOT_RENDER = "does_not_render"
    TOO_MANY_TOKENS = "too_many_tokens"
    NO_TRAINED_TOKEN = "no_trained_token"  # noqa: S105
    NOT_ONE_ANSWER = "not_one_answer"
    IDENTICAL_ANSWERS = "identical_answers"


class Skip(NamedTuple):
    """A row that was left out."""

    row_id: str
    reason: SkipReason
    detail: str


class EncodedRows(NamedTuple):
    """Rows as the trainer takes them (token lists by column), and those that were left out."""

    rows: list[dict[str, list[int]]]
    skipped: list[Skip]


def encode_conversations(tokenizer: Any, examples: pa.Table, max_length: int) -> EncodedRows:
    """Tokenise conversations with labels.

    Args:
        tokenizer: Of the base model, template installed.
        examples: Columns `id` and `messages`; `repeats`, where it stands, is how often a row is trained on in an epoch.
        max_length: Tokens of the longest row that is trained on.

    Returns:
        Rows with `input_ids` and `labels`.
    """
    rows, skipped = [], []
    for (row_id, messages), times in zip(_columns(examples, "messages"), repeats_of(examples), strict=True):
        try:
            encoded = encode(tokenizer, messages)
        except InputError as error:
            skipped.append(Skip(row_id, SkipReason.DOES_NOT_RENDER, str(error)))
            continue
        n_tokens = len(encoded.input_ids)
        if n_tokens > max_length:
            skipped.append(Skip(row_id, SkipReason.TOO_MANY_TOKENS, f"{n_tokens} tokens, at most {max_length}"))
        elif all(label == IGNORED for label in encoded.labels[1:]):
            skipped.append(Skip(row_id, SkipReason.NO_TRAINED_TOKEN, f"none of {n_tokens} tokens is the assistant's"))
        else:
            rows += [{"input_ids": encoded.input_ids, "labels": encoded.labels}] * times
    return EncodedRows(rows, skipped)


def encode_preferences(tokenizer: Any, preferences: pa.Table, max_length: int) -> EncodedRows:
    """Tokenise preference pairs.

    Returns:
        Rows with `prompt_ids`, and `chosen_ids` and `rejected_ids` up to the end-of-turn token.
    """
    rows, skipped = [], []
    for row_id, prompt, chosen, rejected in _columns(preferences, "prompt", "chosen", "rejected"):
        try:
            pair = {"prompt_ids": encode_prompt(tokenizer, prompt)}
            pair["chosen_ids"] = _answer_ids(tokenizer, prompt, chosen, pair["prompt_ids"])
            pair["rejected_ids"] = _answer_ids(tokenizer, prompt, rejected, pair["prompt_ids"])
        except InputError as error:
            skipped.append(Skip(row_id, SkipReason.DOES_NOT_RENDER, str(error)))
            continue
        except ValueError as error:
            skipped.append(Skip(row_id, SkipReason.NOT_ONE_ANSWER, str(error)))
            continue
        n_tokens = len(pair["prompt_ids"]) + max(len(pair["chosen_ids"]), len(pair["rejected_ids"]))
        if n_tokens > max_length:
            skipped.append(Skip(row_id, SkipReason.TOO_MANY_TOKENS, f"{n_tokens} tokens, at most {max_length}"))
        elif pair["chosen_ids"] == pair["rejected_ids"]:
            skipped.append(Skip(row_id, SkipReason.IDENTICAL_ANSWERS, "chosen and rejected are the same tokens"))
        else:
            rows.append(pair)
    return EncodedRows(rows, skipped)


def _answer_ids(
    tokenizer: Any, prompt: Sequence[Mapping[str, str]], answer: Sequence[Mapping[str, str]], prompt_ids: list[int]
) -> list[int]:
    if len(answer) != 1 or answer[0]["role"] != "assistant":
        raise ValueError(f"{len(answer)} turns where one of the assistant was expected")
    encoded = encode(tokenizer, [*prompt, *answer])
    if encoded.input_ids[: len(prompt_ids)] != prompt_ids:
        raise InputError("the chat template renders the prompt differently once it is answered")
    end = max(at for at, label in enumerate(encoded.labels) if label != IGNORED)
    return encoded.input_ids[len(prompt_ids) : end + 1]


def hold_out(preferences: pa.Table, fraction: float, seed: int) -> tuple[pa.Table, pa.Table]:
    """Part the pairs into training and held-out, so that all pairs of one example stand on one side.

    At least one example is held out unless `fraction` is 0, and at least one is trained on.
    """
    groups = [example or row for row, example in _columns(preferences, "example_id")]
    ordered = sorted(set(groups), key=lambda group: content_id(seed, group))
    n_held_out = min(math.ceil(fraction * len(ordered)), len(ordered) - 1)
    held_out = set(ordered[: max(0, n_held_out)])
    mask = pa.array([group in held_out for group in groups], pa.bool_())
    return preferences.filter(pc.invert(mask)), preferences.filter(mask)


def check_skipped(what: str, n_rows: int, skipped: Sequence[Skip], max_fraction: float) -> None:
    """Stop before training if too many rows, or all of them, cannot be trained on.

    Raises:
        TrainingError: with the reasons and the key to change.
    """
    if not n_rows:
        raise TrainingError(f"{what}: there are no rows to train on; look at the reports of the stages before")
    reasons = ", ".join(f"{reason.value}: {n}" for reason, n in Counter(s.reason for s in skipped).most_common())
    if len(skipped) == n_rows or len(skipped) / n_rows > max_fraction:
        raise TrainingError(
            f"{what}: {len(skipped)} of {n_rows} rows cannot be trained on ({reasons}; first: row "
            f"{skipped[0].row_id}: {skipped[0].detail}), more than max_skipped_fraction={max_fraction:g} allows. "
            "Filter such rows, raise max_length_tokens, or raise max_skipped_fraction"
        )


def _columns(table: pa.Table, *names: str) -> Any:
    return zip(*(table[name].to_pylist() for name in ("id", *names)), strict=True)
