"""Prompts and answers of the test split, which no preference may repeat, wherever it comes from."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

import pyarrow as pa

from steps.dedup.shingles import shingles
from steps.filtering.words import normalise, words
from steps.preference.candidate import Messages, key_of, text_of
from steps.rows import rows_of_split
from steps.splitting.decontaminate import DecontaminationSettings, OverlapIndex, compared_texts, overlap_index

#: Words of a shingle in the comparison of prompts: short enough for a question of four words.
SHINGLE_WORDS = 2


class TestDrop(StrEnum):
    """Why a prompt or a pair is too near to the test split."""

    __test__ = False

    PROMPT_IN_TEST = "prompt_in_test"
    OVERLAPS_TEST = "overlaps_test"
    NEAR_DUPLICATE_OF_TEST = "near_duplicate_of_test"


class Overlap(NamedTuple):
    """What of the test split is repeated."""

    reason: TestDrop
    evidence_id: str
    """The test row."""
    score: float
    detail: str | None = None


class Protected:
    """Finds what repeats a test row: an equal prompt, shared n-grams of prompt or answers, a near-duplicate prompt.

    Args:
        sft_dataset: Schema `rows.SFT`.
        imported: Pairs of schema `rows.PREFERENCES`: n-grams that are frequent in them and in the training rows
            together are boilerplate and no overlap.
        settings: How n-grams are compared.
        max_prompt_similarity: Jaccard similarity of two prompts' 2-word shingles from which they are near-duplicates;
            None compares no shingles.
    """

    def __init__(
        self,
        sft_dataset: pa.Table,
        imported: Sequence[Mapping[str, Any]],
        settings: DecontaminationSettings,
        max_prompt_similarity: float | None,
    ) -> None:
        test = rows_of_split(sft_dataset, "test")
        self._ngram_words = settings.ngram_words
        self._index = _index_of(test, rows_of_split(sft_dataset, "train"), imported, settings)
        self._max_similarity = max_prompt_similarity
        prompts = [messages[:-1] for messages in test["messages"].to_pylist()]
        self._ids: list[str] = test["id"].to_pylist()
        self._by_key = {key_of(prompt): row_id for row_id, prompt in zip(self._ids, prompts, strict=True)}
        self._shingles = [_shingles_of(prompt) for prompt in prompts]
        self._holders: dict[int, list[int]] = defaultdict(list)
        for number, found in enumerate(self._shingles):
            for shingle in found:
                self._holders[shingle].append(number)

    def find_prompt(self, prompt: Messages) -> Overlap | None:
        """Return what a prompt repeats of the test split, or None."""
        evidence_id = self._by_key.get(key_of(prompt))
        if evidence_id is not None:
            return Overlap(TestDrop.PROMPT_IN_TEST, evidence_id, 1.0)
        return self._shared("prompt", text_of(prompt)) or self._near_duplicate(prompt)

    def find_answers(self, pair: Mapping[str, Any]) -> Overlap | None:
        """Return what a pair's answers repeat of the test split, or None."""
        parts = compared_parts(pair, self._ngram_words)
        return next((found for part in parts if part != "prompt" and (found := self._shared(part, parts[part]))), None)

    def _shared(self, part: str, text: str) -> Overlap | None:
        found = self._index.find(text)
        return None if found is None else Overlap(TestDrop.OVERLAPS_TEST, found.evidence_id, found.ratio, part)

    def _near_duplicate(self, prompt: Messages) -> Overlap | None:
        """Return the test prompt of the highest similarity; an inverted index finds those that share a shingle."""
        own = _shingles_of(prompt)
        if self._max_similarity is None or not own:
            return None
        shared = Counter(number for shingle in own for number in self._holders.get(shingle, ()))
        similarities = (
            (n / (len(own) + len(self._shingles[number]) - n), self._ids[number]) for number, n in shared.items()
        )
        similarity, row_id = max(similarities, default=(0.0, ""))
        if similarity < self._max_similarity:
            return None
        detail = f"{SHINGLE_WORDS}-word shingles of the prompts, max_prompt_similarity={self._max_similarity:g}"
        return Overlap(TestDrop.NEAR_DUPLICATE_OF_TEST, row_id, round(similarity, 4), detail)


def compared_parts(pair: Mapping[str, Any], ngram_words: int) -> dict[str, str]:
    """Return the texts of a pair that are compared with the test split, by the part that they come from.

    Answers of fewer words than an n-gram are left out: "Yes." leaks nothing.
    """
    answers = {part: text_of(pair[part]) for part in ("chosen", "rejected")}
    long_enough = {part: text for part, text in answers.items() if len(words(text)) >= ngram_words}
    return {"prompt": text_of(pair["prompt"]), **long_enough}


def _shingles_of(prompt: Messages) -> frozenset[int]:
    return frozenset(shingles(words(normalise(text_of(prompt))), SHINGLE_WORDS).tolist())


def _index_of(
    test: pa.Table, train: pa.Table, imported: Iterable[Mapping[str, Any]], settings: DecontaminationSettings
) -> OverlapIndex:
    compared = compared_texts(test, settings.ngram_words)
    texts = [(row_id, text) for row_id, own in zip(test["id"].to_pylist(), compared, strict=True) for text in own]
    searched = [text for own in compared_texts(train, settings.ngram_words) for text in own]
    for pair in imported:
        searched += compared_parts(pair, settings.ngram_words).values()
    return overlap_index(texts, settings, searched)
