"""Preferences that people or others made: which of them cannot be trained on, and why."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any

import pyarrow as pa

from steps.filtering.words import words
from steps.ledger import Drops
from steps.rows import rows_of_split

Messages = Sequence[Mapping[str, str]]
#: Looks a text up among the test rows: the row that it overlaps and the share of it that does, or None.
FindOverlap = Callable[[str], tuple[str, float] | None]


class ImportedDrop(StrEnum):
    """Why an imported preference cannot be used."""

    EMPTY_PROMPT = "empty_prompt"
    EMPTY_ANSWER = "empty_answer"
    NOT_AN_ANSWER = "not_an_answer"
    CHOSEN_EQUALS_REJECTED = "chosen_equals_rejected"
    PROMPT_IN_TEST = "prompt_in_test"
    OVERLAPS_TEST = "overlaps_test"
    DUPLICATE_PAIR = "duplicate_pair"
    CONTRADICTED = "contradicted"


def drop_imported(
    imported: pa.Table, sft_dataset: pa.Table, find_overlap: FindOverlap, ngram_words: int, drops: Drops
) -> None:
    """Enter into `drops` every imported pair that is empty, no preference, doubled, contradicted, or of the test split.

    Args:
        imported: Schema `rows.PREFERENCES`.
        sft_dataset: Schema `rows.SFT`; its test rows are protected.
        find_overlap: Index of the test rows' texts.
        ngram_words: Answers of fewer words are not looked up: "Yes." leaks nothing.
        drops: Of the stage.
    """
    test = rows_of_split(sft_dataset, "test")
    test_prompts = {
        key_of(messages[:-1]): row_id
        for row_id, messages in zip(test["id"].to_pylist(), test["messages"].to_pylist(), strict=True)
    }
    pairs = imported.to_pylist()
    for pair in pairs:
        reason = _defect(pair)
        if reason is not None:
            drops.add(pair["id"], reason)
            continue
        evidence_id = test_prompts.get(key_of(pair["prompt"]))
        if evidence_id is not None:
            drops.add(pair["id"], ImportedDrop.PROMPT_IN_TEST, evidence_id=evidence_id, score=1.0)
            continue
        for part, text in compared_parts(pair, ngram_words).items():
            found = find_overlap(text)
            if found is not None:
                drops.add(pair["id"], ImportedDrop.OVERLAPS_TEST, evidence_id=found[0], score=found[1], detail=part)
                break
    _drop_repetitions([pair for pair in pairs if pair["id"] not in drops], drops)


def compared_parts(pair: Mapping[str, Any], ngram_words: int) -> dict[str, str]:
    """Return the texts of a pair that are compared with the test split, by the part that they come from."""
    answers = {part: text_of(pair[part]) for part in ("chosen", "rejected")}
    long_enough = {part: text for part, text in answers.items() if len(words(text)) >= ngram_words}
    return {"prompt": text_of(pair["prompt"]), **long_enough}


def _defect(pair: Mapping[str, Any]) -> ImportedDrop | None:
    """Return what makes a pair unusable on its own."""
    if not any(message["content"].strip() for message in pair["prompt"]):
        return ImportedDrop.EMPTY_PROMPT
    for answer in (pair["chosen"], pair["rejected"]):
        if not answer or not answer[-1]["content"].strip():
            return ImportedDrop.EMPTY_ANSWER
        if answer[-1]["role"] != "assistant":
            return ImportedDrop.NOT_AN_ANSWER
    same = key_of(pair["chosen"]) == key_of(pair["rejected"])
    return ImportedDrop.CHOSEN_EQUALS_REJECTED if same else None


def _drop_repetitions(pairs: Sequence[Mapping[str, Any]], drops: Drops) -> None:
    """Of equal pairs keep the one with the smallest id; of pairs that prefer the opposite keep none."""
    first: dict[tuple[str, str, str], str] = {}
    for pair in sorted(pairs, key=lambda pair: str(pair["id"])):
        first.setdefault(_pair_key(pair), pair["id"])
    for pair in pairs:
        prompt, chosen, rejected = _pair_key(pair)
        opposite = first.get((prompt, rejected, chosen))
        if opposite is not None:
            drops.add(pair["id"], ImportedDrop.CONTRADICTED, evidence_id=opposite)
        elif first[prompt, chosen, rejected] != pair["id"]:
            evidence_id = first[prompt, chosen, rejected]
            drops.add(pair["id"], ImportedDrop.DUPLICATE_PAIR, evidence_id=evidence_id, score=1.0)


def _pair_key(pair: Mapping[str, Any]) -> tuple[str, str, str]:
    return key_of(pair["prompt"]), key_of(pair["chosen"]), key_of(pair["rejected"])


def text_of(messages: Messages) -> str:
    """Return the contents of the user's and assistant's turns, one below the other."""
    return "\n".join(message["content"] for message in messages if message["role"] != "system")


def key_of(messages: Messages) -> str:
    """Return the text without what makes no difference: letter case, spacing, compatibility forms of characters.

    >>> key_of([{"role": "user", "content": "Why  NOT?"}]) == key_of([{"role": "user", "content": "why not? "}])
    True
    """
    return " ".join(unicodedata.normalize("NFKC", text_of(messages)).casefold().split())
