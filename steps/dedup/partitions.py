"""Near-duplicates in pieces that any engine can run: pure functions from Arrow table to Arrow table.

    band_table(documents)            each batch of documents alone           -> part, key, id
    candidate_edges(bands)           all rows of one `part` together         -> id, other
    verify(documents, edges)         the documents that stand in the edges   -> id, other, similarity
    select(edges)                    all edges together                      -> id, other, similarity: dropped rows

`id` is the rank of a document, int64: 0 is the row that is kept before all others. A key belongs to one part, so that
the number of parts changes no result. Candidates number a pair at most once in a part, and `verify` removes those that
several parts found.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from steps.dedup.candidates import Workers, sets_of, signatures_of
from steps.dedup.documents import Documents
from steps.dedup.guards import numbers_hash
from steps.dedup.minhash import MinHashSettings, bands_for
from steps.dedup.oracle import BLOCK_PAIRS
from steps.dedup.segments import Integers, Segments

BANDS = pa.schema([("part", pa.int32()), ("key", pa.uint64()), ("id", pa.int64())])
EDGES = pa.schema([("id", pa.int64()), ("other", pa.int64())])
VERIFIED = pa.schema([*EDGES, ("similarity", pa.float64())])


def band_table(documents: pa.Table, settings: MinHashSettings, n_parts: int) -> pa.Table:
    """Sign documents.

    Args:
        documents: Columns `id` and either `messages` or `text`.
        settings: Threshold, shingle size, key and seed.
        n_parts: Parts among which the keys are dealt.

    Returns:
        Schema `BANDS`, one row per document and band; documents without words have none.
    """
    segments = _segments(documents, settings)
    n = documents.num_rows
    bands = bands_for(settings.threshold)
    signed = signatures_of(segments, n, settings.shingle_words, bands, settings.seed, Workers(1))
    worded = np.flatnonzero(signed.keys[0]) if n else np.zeros(0, np.int64)
    # The number of the band is mixed in, so that the same minima in two bands are two keys.
    salt = np.arange(bands[0], dtype=np.uint64)[:, None] * np.uint64(0x9E3779B97F4A7C15)
    keys = (signed.keys[:, worded] ^ salt).reshape(-1)
    ids = np.tile(documents["id"].to_numpy()[worded], bands[0])
    return pa.table([(keys % np.uint64(n_parts)).astype(np.int32), keys, ids], schema=BANDS)


def candidate_edges(bands: pa.Table) -> pa.Table:
    """Return the pairs of documents that share a key.

    Args:
        bands: Schema `BANDS`, with all rows of each key that it has.

    Returns:
        Schema `EDGES`: each pair once, `other < id`, sorted.
    """
    keys, ids = bands["key"].to_numpy(), bands["id"].to_numpy()
    order = np.lexsort((ids, keys))
    keys, ids = keys[order], ids[order]
    codes = [np.zeros(0, np.int64)]
    step = 1
    while True:
        same = np.flatnonzero(keys[step:] == keys[:-step]) if step < len(keys) else np.zeros(0, np.int64)
        same = same[ids[same + step] != ids[same]]
        if not len(same):
            break
        codes.append((ids[same + step] << 32) | ids[same])
        if step % 64 == 0:
            codes = [np.unique(np.concatenate(codes))]
        step += 1
    distinct = np.unique(np.concatenate(codes))
    return pa.table([distinct >> 32, distinct & 0xFFFFFFFF], schema=EDGES)


def verify(documents: pa.Table, edges: pa.Table, settings: MinHashSettings) -> pa.Table:
    """Keep the edges whose documents are alike, and that no guard keeps apart.

    Args:
        documents: Columns `id` and either `messages` or `text`; all that the edges name, and any others.
        edges: Schema `EDGES`; a pair may come several times.
        settings: Threshold, shingle size, key and guards.

    Returns:
        Schema `VERIFIED`, each pair once.
    """
    from steps.kernels.join import similarities

    codes = np.unique((edges["id"].to_numpy() << 32) | edges["other"].to_numpy())
    left, right = codes >> 32, codes & 0xFFFFFFFF
    ids = documents["id"].to_numpy()
    order = np.argsort(ids)
    a, b = (order[np.searchsorted(ids, each, sorter=order)] for each in (left, right))
    wanted = np.zeros(len(ids), bool)
    wanted[a] = wanted[b] = True
    places, sizes, sets = sets_of(_segments(documents, settings), None, wanted, settings.shingle_words, Workers(1))
    found = np.empty(len(a), np.float64)
    for start in range(0, len(a), BLOCK_PAIRS):
        at = slice(start, start + BLOCK_PAIRS)
        similarities(a[at], b[at], places, sizes, sets, settings.threshold, found[at])
    alike = np.flatnonzero(found >= settings.threshold)
    alike = alike[_unguarded(documents, a[alike], b[alike], settings)]
    return pa.table([left[alike], right[alike], found[alike]], schema=VERIFIED)


def _unguarded(
    documents: pa.Table, left: Integers, right: Integers, settings: MinHashSettings
) -> npt.NDArray[np.bool_]:
    """Say which pairs of positions no guard keeps apart."""
    from steps.kernels.join import similarities

    free = np.ones(len(left), bool)
    if "messages" not in documents.column_names or not len(left):
        return free
    texts = Documents(documents["messages"])
    if settings.protect_numbers:
        hashes = {row: numbers_hash(texts[row]) for row in np.unique(np.concatenate([left, right])).tolist()}
        free &= np.array([hashes[i] == hashes[j] for i, j in zip(left.tolist(), right.tolist(), strict=True)])
    if settings.min_answer_overlap is not None and settings.key == "conversation":
        wanted = np.zeros(len(texts), bool)
        wanted[left] = wanted[right] = True
        places, sizes, sets = sets_of(texts.segments("answer"), None, wanted, 1, Workers(1))
        overlap = np.empty(len(left), np.float64)
        similarities(left, right, places, sizes, sets, 0.0, overlap)
        wordless = (sizes[left] == 0) & (sizes[right] == 0)
        free &= wordless | (np.maximum(overlap, 0.0) >= settings.min_answer_overlap)
    return free


def select(edges: pa.Table) -> pa.Table:
    """Drop rows greedily, best first: a row goes when a row that stays is like it.

    Args:
        edges: Schema `VERIFIED`, each pair once: those of `verify`.

    Returns:
        Schema `VERIFIED`: each dropped row once, with the most similar row that stays (of equals, the best).
    """
    from steps.kernels.join import select_greedily

    left, right = edges["id"].to_numpy(), edges["other"].to_numpy()
    similarity = edges["similarity"].to_numpy()
    order = np.lexsort((right, -similarity, left))
    left, right, similarity = left[order], right[order], similarity[order]
    ids, numbers = np.unique(np.concatenate([left, right]), return_inverse=True)
    chosen = np.full(len(ids), -1, np.int64)
    select_greedily(numbers[: len(left)], numbers[len(left) :], chosen)
    dropped: npt.NDArray[np.int64] = np.flatnonzero(chosen >= 0)
    edge = chosen[dropped]
    return pa.table([ids[dropped], right[edge], similarity[edge]], schema=VERIFIED)


def _segments(documents: pa.Table, settings: MinHashSettings) -> list[Segments]:
    if "messages" in documents.column_names:
        return Documents(documents["messages"]).segments(settings.key)
    return Documents(documents["text"]).segments("answer")
