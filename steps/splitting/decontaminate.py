"""Decontamination: no training or validation row overlaps a test row or a benchmark."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from enum import StrEnum
from itertools import chain
from typing import Any

import pyarrow as pa

from steps.dedup.documents import documents_of
from steps.filtering.words import words
from steps.ledger import Drops, StageResult, settle
from steps.progress import track
from steps.rows import rows_of_split
from steps.splitting.benchmarks import benchmark_texts
from steps.splitting.overlap import DecontaminationSettings, Overlap, OverlapIndex, overlap_index

STAGE = "decontaminate"

__all__ = ["DecontaminationSettings", "OverlapIndex", "decontaminate", "leak_report", "overlap_index"]


class DecontaminationReason(StrEnum):
    """Why a row was dropped."""

    OVERLAPS_TEST = "overlaps_test"
    OVERLAPS_BENCHMARK = "overlaps_benchmark"


def decontaminate(dataset: pa.Table, settings: DecontaminationSettings) -> StageResult:
    """Drop the training and validation rows that overlap a test row or a benchmark.

    A prompt or an answer overlaps when it equals a text of the other side, or shares enough n-grams with it. Answers
    shorter than an n-gram ("Yes.") are not compared. Test rows always stay.

    Args:
        dataset: Schema `SFT`.
        settings: N-gram length, frequency limit, least overlap and benchmark files.

    Returns:
        The rows that stay, and a ledger with the test row's id or the benchmark's `file:line`, and the overlap.

    Raises:
        InputError: if a benchmark file cannot be read.
        DropLimitError: if more than `max_drop_fraction` of all rows went.
    """
    texts = dict(zip(dataset["id"].to_pylist(), compared_texts(dataset, settings.ngram_words), strict=True))
    test_ids = set(rows_of_split(dataset, "test")["id"].to_pylist())
    searched = {row_id: found for row_id, found in texts.items() if row_id not in test_ids}
    from_test = ((row_id, text) for row_id in texts if row_id in test_ids for text in texts[row_id])
    training_texts = list(chain.from_iterable(searched.values()))
    indices = {
        DecontaminationReason.OVERLAPS_TEST: overlap_index(from_test, settings, training_texts),
        DecontaminationReason.OVERLAPS_BENCHMARK: overlap_index(
            benchmark_texts(settings.benchmark_paths), settings, training_texts
        ),
    }
    drops = Drops(STAGE)
    for row_id, own in track(searched.items(), "decontamination", len(searched)):
        for reason, index in indices.items():
            found = _worst(index, own)
            if found is not None:
                drops.add(row_id, reason, evidence_id=found.evidence_id, score=round(found.ratio, 4))
    return settle(STAGE, dataset, drops, settings.max_drop_fraction)


def compared_texts(examples: pa.Table, ngram_words: int) -> list[list[str]]:
    """Return of each row the texts to compare: what the user wrote, and the answer unless it is short.

    Args:
        examples: Any table with `messages`.
        ngram_words: Answers of fewer words are left out: "Yes." leaks nothing.
    """
    return [
        [document.instruction] + ([document.answer] if len(words(document.answer)) >= ngram_words else [])
        for document in documents_of(examples)
    ]


def _worst(index: OverlapIndex, texts: Iterable[str]) -> Overlap | None:
    found = [overlap for overlap in map(index.find, texts) if overlap is not None]
    return max(found, key=lambda overlap: overlap.ratio, default=None)


def leak_report(dataset: pa.Table) -> dict[str, list[dict[str, Any]]]:
    """Look for leaks by brute force: groups and normalised conversations that stand in more than one split.

    Args:
        dataset: Schema `SFT`.

    Returns:
        `groups` and `texts`, each a list of `{key, splits, row_ids}`; both are empty when nothing leaks.
    """
    ids, splits = dataset["id"].to_pylist(), dataset["split"].to_pylist()
    conversations = [f"{document.instruction} ⇒ {document.answer}" for document in documents_of(dataset)]
    return {
        "groups": _in_several_splits(dataset["group_id"].to_pylist(), ids, splits),
        "texts": _in_several_splits(conversations, ids, splits),
    }


def _in_several_splits(keys: Sequence[str], ids: Sequence[str], splits: Sequence[str]) -> list[dict[str, Any]]:
    rows: dict[str, list[int]] = defaultdict(list)
    for position, key in enumerate(keys):
        rows[key].append(position)
    return [
        {
            "key": key[:200],
            "splits": sorted({splits[position] for position in positions}),
            "row_ids": [ids[position] for position in positions],
        }
        for key, positions in rows.items()
        if len({splits[position] for position in positions}) > 1
    ]
