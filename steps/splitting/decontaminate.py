"""Decontamination: no training or validation row overlaps a test row or a benchmark."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from steps.ledger import check_drop_fraction
from steps.progress import track
from steps.rows import LEDGER
from steps.splitting.benchmarks import benchmark_index
from steps.splitting.embedding import similar_texts
from steps.splitting.overlap import (
    METHODS,
    DecontaminationSettings,
    Found,
    OverlapIndex,
    build_index,
    overlap_index,
)
from steps.splitting.overlap_files import StoredIndex, in_one_piece
from steps.splitting.remarks import Remarks, settle_remarks
from steps.splitting.searched import Compared
from steps.splitting.texts import batches_of, compared_texts, hashed

STAGE = "decontaminate"

__all__ = ["DecontaminationSettings", "OverlapIndex", "compared_texts", "decontaminate", "overlap_index"]


class DecontaminationReason(StrEnum):
    """Why a row was dropped, or remarked upon."""

    OVERLAPS_TEST = "overlaps_test"
    OVERLAPS_BENCHMARK = "overlaps_benchmark"


class DecontaminationResult(NamedTuple):
    """The rows that stay, one ledger row per input row, and what was compared with what (plain JSON)."""

    kept: pa.Table
    ledger: pa.Table
    report: dict[str, Any]


def decontaminate(
    dataset: pa.Table, settings: DecontaminationSettings, cache: Path | None = None
) -> DecontaminationResult:
    """Drop, or report, the training and validation rows that overlap a test row or a benchmark.

    A prompt or an answer overlaps when it equals a text of the other side, or shares enough n-grams with it. Answers
    shorter than an n-gram ("Yes.") are not compared. Test rows always stay.

    Args:
        dataset: Columns `id`, `messages` and `split`.
        settings: Methods, thresholds, benchmarks, and what happens to an overlap.
        cache: Folder of the benchmarks' indexes; None keeps them in memory.

    Returns:
        The rows that stay, and a ledger with the test row's id or the benchmark's item, the measure, and in `detail`
        the method and the shared passage.

    Raises:
        InputError: if a benchmark cannot be read.
        DropLimitError: if more than `max_drop_fraction` of all rows went.
    """
    is_test = np.asarray(pc.equal(dataset["split"], "test"), np.bool_)
    indexes = {
        DecontaminationReason.OVERLAPS_TEST: _index_of(Compared(dataset, is_test, settings.ngram_words), settings),
        DecontaminationReason.OVERLAPS_BENCHMARK: benchmark_index(settings, cache),
    }
    remarks, compared = Remarks(STAGE), Compared(dataset, ~is_test, settings.ngram_words)
    for reason, row, decision in _overlaps(indexes, compared, settings):
        remarks.add(dataset["id"][row].as_py(), reason, **decision)
    dropped = remarks.table("dropped" if settings.action == "drop" else "kept")
    kept, ledger = settle_remarks(STAGE, dataset, dropped)
    check_drop_fraction(ledger, settings.max_drop_fraction)
    return DecontaminationResult(kept, ledger, _report(dropped, compared.n_compared, indexes, settings))


def _index_of(protected: Compared, settings: DecontaminationSettings) -> StoredIndex:
    """Index the texts of the protected rows, prompts before answers."""
    places = np.concatenate([np.zeros(0, np.int64), *(places for places, _ in protected.batches())])
    sides = [places[places % 2 == side] for side in (0, 1)]
    texts = [texts for side in sides for _, texts in protected.texts_at(side)]
    ids = protected.rows["id"].take(pa.array(np.concatenate(sides) // 2))
    in_order = pa.concat_arrays([pa.array([], pa.large_string()), *texts])
    return build_index(in_one_piece(ids), in_order, settings.ngram_sizes)


def _overlaps(
    stored: dict[DecontaminationReason, StoredIndex], compared: Compared, settings: DecontaminationSettings
) -> Iterator[tuple[DecontaminationReason, int, dict[str, Any]]]:
    """Yield each row that overlaps an indexed text, with the evidence of its worst text."""
    indexes = {reason: OverlapIndex(found, settings) for reason, found in stored.items() if len(found.texts)}
    touched: dict[DecontaminationReason, list[npt.NDArray[np.int64]]] = {reason: [] for reason in indexes}
    searched = [np.zeros(0, np.int64)]
    if indexes:
        for places, words in track(compared.batches(), "decontamination"):
            searched.append(places)
            for reason, index in indexes.items():
                touched[reason].append(places[index.learn(words)])
    for reason, index in indexes.items():
        candidates = np.concatenate([np.zeros(0, np.int64), *touched[reason]])
        for row, decision in _worst(index, compared, candidates, settings):
            yield reason, row, decision
        if settings.embedding is not None:
            places, texts = _gathered(compared, np.concatenate(searched))
            for row, text, cosine in similar_texts(places // 2, texts, index.stored.texts, settings.embedding):
                yield reason, row, _decision(index, text, cosine, "embedding", (0, 0))


def _gathered(compared: Compared, places: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], pa.Array]:
    """Return the places in order, and their texts."""
    parts = list(compared.texts_at(places))
    texts = pa.concat_arrays([pa.array([], pa.large_string()), *(texts for _, texts in parts)])
    return np.concatenate([np.zeros(0, np.int64), *(found for found, _ in parts)]), texts


def _worst(
    index: OverlapIndex, compared: Compared, candidates: npt.NDArray[np.int64], settings: DecontaminationSettings
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Search the candidates; of a row's texts the best method, then the highest measure, stands for the row."""
    places, found = _search(index, compared, candidates)
    own = places // 2
    order = np.lexsort((-found.scores, found.methods, own))
    _, first = np.unique(own[order], return_index=True)
    for hit in order[first]:
        text, label = int(found.texts[hit]), _label(METHODS[found.methods[hit]], settings)
        yield int(own[hit]), _decision(index, text, float(found.scores[hit]), label, found.spans[hit])


def _search(
    index: OverlapIndex, compared: Compared, candidates: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], Found]:
    """Return the candidates that overlap, by ascending place, and what was found for each."""
    hits, parts = [np.zeros(0, np.int64)], [index.search(hashed(pa.array([], pa.large_string())))]
    for places, texts in compared.texts_at(candidates):
        first = 0
        for batch in batches_of(texts):
            found = index.search(hashed(batch))
            overlapping = np.flatnonzero(found.texts >= 0)
            hits.append(places[first + overlapping])
            parts.append(found.at(overlapping))
            first += len(batch)
    return np.concatenate(hits), Found(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _decision(index: OverlapIndex, text: int, score: float, label: str, span: Iterable[int]) -> dict[str, Any]:
    detail = f"{label}: {index.passage_of(text, span)}"
    return {"evidence_id": index.evidence_of(text), "score": round(score, 4), "detail": detail}


def _label(method: str, settings: DecontaminationSettings) -> str:
    """Name a method with its n, as a reader of the ledger needs it."""
    if method == "ngrams":
        return f"{settings.ngram_words}-grams"
    if method == "coverage" and settings.coverage is not None:
        return f"coverage by {settings.coverage.ngram_words}-grams"
    return method


def _report(
    dropped: pa.Table,
    n_texts: int,
    indexes: dict[DecontaminationReason, StoredIndex],
    settings: DecontaminationSettings,
) -> dict[str, Any]:
    methods = Counter(detail.partition(":")[0] for detail in dropped["detail"].to_pylist())
    return {
        "action": settings.action,
        "n_texts_compared": n_texts,
        "n_protected_texts": {reason.value: len(stored.texts) for reason, stored in indexes.items()},
        "n_overlapping_rows": dict(Counter(dropped["reason"].to_pylist())),
        "by_method": dict(methods),
        "benchmarks": [*settings.benchmark_paths, *settings.lm_eval_tasks],
        "examples": [{key: row[key] for key in LEDGER.names} for row in dropped.slice(0, 10).to_pylist()],
    }
