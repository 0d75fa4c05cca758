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
    batches_of,
    build_index,
    hashed,
    overlap_index,
)
from steps.splitting.overlap_files import StoredIndex
from steps.splitting.remarks import Remarks, settle_remarks
from steps.splitting.texts import compared_texts, sides_of

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
    is_test = pc.equal(dataset["split"], "test")
    rows, texts = _searched(dataset.filter(pc.invert(is_test)), settings.ngram_words)
    protected = dataset.filter(is_test)
    indexes = {
        DecontaminationReason.OVERLAPS_TEST: _index_of(protected, settings),
        DecontaminationReason.OVERLAPS_BENCHMARK: benchmark_index(settings, cache),
    }
    ids = dataset.filter(pc.invert(is_test))["id"]
    remarks = Remarks(STAGE)
    for reason, stored in indexes.items():
        for row, decision in _overlaps(stored, rows, texts, settings):
            remarks.add(ids[row].as_py(), reason, **decision)
    dropped = remarks.table("dropped" if settings.action == "drop" else "kept")
    kept, ledger = settle_remarks(STAGE, dataset, dropped)
    check_drop_fraction(ledger, settings.max_drop_fraction)
    return DecontaminationResult(kept, ledger, _report(dropped, len(texts), indexes, settings))


def _searched(searched: pa.Table, ngram_words: int) -> tuple[npt.NDArray[np.int64], pa.Array]:
    """Return the texts that are looked up, and the row of each."""
    prompts, answers = sides_of(searched)
    long_enough = _long_enough(answers, ngram_words)
    rows = np.concatenate([np.arange(len(prompts)), np.flatnonzero(long_enough)])
    return rows, pa.concat_arrays([prompts, answers.filter(pa.array(long_enough))])


def _index_of(protected: pa.Table, settings: DecontaminationSettings) -> StoredIndex:
    rows, texts = _searched(protected, settings.ngram_words)
    ids = protected["id"].combine_chunks()
    ids = pa.concat_arrays(ids.chunks or [pa.array([], pa.string())]) if isinstance(ids, pa.ChunkedArray) else ids
    return build_index(ids.take(pa.array(rows)), texts, settings.ngram_sizes)


def _long_enough(answers: pa.Array, ngram_words: int) -> npt.NDArray[np.bool_]:
    counts = [hashed(batch).counts for batch in batches_of(answers)]
    return np.concatenate([np.zeros(0, np.int64), *counts]) >= ngram_words


def _overlaps(
    stored: StoredIndex, rows: npt.NDArray[np.int64], texts: pa.Array, settings: DecontaminationSettings
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield each row that overlaps an indexed text, with the evidence of its worst text."""
    if not len(stored.texts) or not len(texts):
        return
    index = OverlapIndex(stored, settings)
    touched = [index.learn(hashed(batch)) for batch in track(batches_of(texts), "decontamination")]
    candidates = np.flatnonzero(np.concatenate(touched))
    found = _search(index, texts.take(pa.array(candidates)))
    hits = np.flatnonzero(found.texts >= 0)
    own = rows[candidates]
    # The best method, then the highest measure, of a row's texts stands for the row.
    order = hits[np.lexsort((-found.scores[hits], found.methods[hits], own[hits]))]
    _, first = np.unique(own[order], return_index=True)
    for hit in order[first]:
        text, label = int(found.texts[hit]), _label(METHODS[found.methods[hit]], settings)
        yield int(own[hit]), _decision(index, text, float(found.scores[hit]), label, found.spans[hit])
    if settings.embedding is not None:
        for row, text, cosine in similar_texts(rows, texts, stored.texts, settings.embedding):
            yield row, _decision(index, text, cosine, "embedding", (0, 0))


def _search(index: OverlapIndex, texts: pa.Array) -> Found:
    parts = [index.search(hashed(batch)) for batch in batches_of(texts)] or [index.search(hashed(texts))]
    texts_found, scores, methods, spans = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Found(texts_found, scores, methods, spans)


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
