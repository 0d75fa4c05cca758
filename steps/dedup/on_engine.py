"""Exact and near-duplicate search in pieces that any engine can run, with the matches that one process finds.

Each batch of rows is signed alone (`band_keys`), each part of the keys is searched for buckets alone
(`shared_in_part`), and each batch of the rows that share a bucket gives its shingle sets alone (`sets_in_batch`). What
stays in this process is the join over those sets: it walks the rows best first, and each decision needs the last.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from steps.dedup.candidates import Workers, rank_bits, sets_of, signatures_of
from steps.dedup.documents import Documents
from steps.dedup.exact import ExactSettings, equal_rows, hashes_of
from steps.dedup.minhash import BORDER, MinHashSettings, Verdicts, bands_for, matches_of, numbers_of
from steps.dedup.selection import Matches, Pairs
from steps.engines.engine import Engine
from steps.tables import take_rows

#: Rows of a table with their ranks: 0 is the best row.
RANKED = ("rank", "messages")
KEYS = pa.schema([("part", pa.int32()), ("key", pa.uint64())])
HASHES = pa.schema([("part", pa.int32()), ("first", pa.uint64()), ("second", pa.uint64()), ("rank", pa.int64())])
EQUAL = pa.schema([("rank", pa.int64()), ("survivor", pa.int64())])
ENTRIES = pa.schema([("rank", pa.int64()), ("bucket", pa.int64())])
SIZES = pa.schema([("entries", pa.int64()), ("buckets", pa.int64())])
SETS = pa.schema([("rank", pa.int64()), ("set", pa.large_list(pa.uint64()))])


def ranked(examples: pa.Table, order: npt.NDArray[np.int64]) -> pa.Table:
    """Return the messages of a table with the rank of each row.

    Args:
        examples: Schema `EXAMPLES`.
        order: Positions of the rows, best first.
    """
    ranks = np.empty(len(order), np.int64)
    ranks[order] = np.arange(len(order))
    return pa.table([pa.array(ranks), examples["messages"]], names=list(RANKED))


def exact_on(engine: Engine, rows: pa.Table, settings: ExactSettings, n_parts: int) -> Matches:
    """Match rows as `exact_duplicates` does.

    Args:
        engine: Runs the pieces.
        rows: Columns `RANKED`.
        settings: The key.
        n_parts: Parts among which the hashes are dealt.
    """
    divide = partial(hash_keys, settings=settings.model_copy(update={"threads": 1}), n_parts=n_parts)
    (found,) = engine.map_parts(rows, divide, HASHES, equal_in_part, (EQUAL,))
    dropped, survivors = found["rank"].to_numpy(), found["survivor"].to_numpy()
    sorting = np.argsort(dropped)
    return Matches(Pairs(dropped[sorting], survivors[sorting], np.ones(len(dropped))))


def hash_keys(rows: pa.Table, settings: ExactSettings, n_parts: int) -> tuple[pa.Table]:
    """Return the hash of each row that has a text, schema `HASHES`."""
    first, second, sizes = hashes_of(Documents(rows["messages"]), settings)
    texts = np.flatnonzero(sizes > 0)
    parts = (first[texts] % np.uint64(n_parts)).astype(np.int32)
    return (pa.table([parts, first[texts], second[texts], rows["rank"].to_numpy()[texts]], schema=HASHES),)


def equal_in_part(hashes: pa.Table) -> tuple[pa.Table]:
    """Return each row of a part that equals a better one, with the best of them, schema `EQUAL`."""
    pairs = equal_rows(*(hashes[name].to_numpy() for name in ("first", "second", "rank")))
    return (pa.table(list(pairs), schema=EQUAL),)


def near_duplicates_on(
    engine: Engine, rows: pa.Table, documents: Documents, settings: MinHashSettings, n_parts: int
) -> Matches:
    """Match rows as `near_duplicates` does with `method: minhash` and no index.

    Args:
        engine: Runs the pieces.
        rows: Columns `RANKED`.
        documents: The same rows, best first.
        settings: Threshold, shingle size, key and guards.
        n_parts: Parts among which the keys are dealt; each band is at least one.
    """
    from steps.kernels.join import by_rank, greedy
    from steps.kernels.minhash import LANES

    n = len(documents)
    bits = rank_bits(n)
    per_band = max(1, n_parts // bands_for(settings.threshold)[0])
    divide = partial(band_keys, settings=settings, bits=bits, parts_per_band=per_band)
    entries, sizes = engine.map_parts(rows, divide, KEYS, partial(shared_in_part, bits=bits), (ENTRIES, SIZES))
    first_buckets = np.cumsum([0, *sizes["buckets"].to_pylist()])
    buckets = entries["bucket"].to_numpy() + np.repeat(first_buckets[:-1], sizes["entries"].to_numpy())
    bounds, members = np.zeros(n + 1, np.int64), np.empty(len(buckets), np.int64)
    by_rank(entries["rank"].to_numpy().copy(), buckets, bounds, members)
    wanted = np.diff(bounds) > 0
    candidates = take_rows(rows, np.flatnonzero(wanted[rows["rank"].to_numpy()]))
    found = Verdicts(
        *greedy(
            bounds, members, int(first_buckets[-1]), np.zeros((0, LANES), np.uint8), 0,
            *_sets(engine, candidates, n, settings.key, settings.shingle_words),
            settings.threshold, settings.threshold - BORDER,
            *_answers(engine, candidates, n, settings), numbers_of(documents, wanted, settings),
            0, np.zeros(0, np.int64),
        )
    )  # fmt: skip
    return matches_of(found, documents, settings)


def band_keys(rows: pa.Table, settings: MinHashSettings, bits: int, parts_per_band: int) -> tuple[pa.Table]:
    """Sign rows: for each band a key whose low bits are the row's rank, schema `KEYS`.

    Args:
        rows: Columns `RANKED`.
        settings: Threshold, shingle size, key and seed.
        bits: Low bits that hold the rank.
        parts_per_band: Parts among which the keys of one band are dealt, by their hash.
    """
    from steps.kernels.minhash import pack

    bands = bands_for(settings.threshold)
    segments = Documents(rows["messages"]).segments(settings.key)
    keys = signatures_of(segments, rows.num_rows, settings.shingle_words, bands, settings.seed, Workers(1)).keys
    ranks = rows["rank"].to_numpy().copy()
    for band in range(bands[0]):
        pack(keys[band], ranks, bits)
    parts = np.repeat(np.arange(bands[0], dtype=np.int32) * parts_per_band, rows.num_rows)
    flat = keys.reshape(-1)
    if parts_per_band > 1:
        parts += ((flat >> np.uint64(bits)) % np.uint64(parts_per_band)).astype(np.int32)
    return (pa.table([parts, flat], schema=KEYS),)


def shared_in_part(keys: pa.Table, bits: int) -> tuple[pa.Table, pa.Table]:
    """Return the rows of each key of a part that several rows have, schema `ENTRIES`, and how many, schema `SIZES`."""
    from steps.kernels.join import shared_buckets

    ordered = keys["key"].to_numpy().copy()
    ordered.sort()
    none = np.zeros(0, np.int64)
    n_entries, n_buckets = shared_buckets(ordered, bits, 0, none, none)
    ranks, buckets = np.empty(n_entries, np.int64), np.empty(n_entries, np.int64)
    if n_entries:
        shared_buckets(ordered, bits, 0, ranks, buckets)
    return pa.table([ranks, buckets], schema=ENTRIES), pa.table([[n_entries], [n_buckets]], schema=SIZES)


def sets_in_batch(rows: pa.Table, key: Any, shingle_words: int) -> tuple[pa.Table]:
    """Return the set of shingles of each row, schema `SETS`."""
    segments = Documents(rows["messages"]).segments(key)
    wanted = np.ones(rows.num_rows, np.bool_)
    places, sizes, sets = sets_of(segments, None, wanted, shingle_words, Workers(1))
    # A set may be smaller than the room that repeated shingles were given: what lies between sets is left out.
    inside = np.zeros(len(sets) + 1, np.int64)
    np.add.at(inside, places, 1)
    np.add.at(inside, places + sizes, -1)
    values = sets[np.cumsum(inside)[:-1] > 0]
    bounds = np.concatenate([[0], np.cumsum(sizes)])
    lists = pa.LargeListArray.from_arrays(pa.array(bounds), pa.array(values))
    return (pa.table([rows["rank"], lists], schema=SETS),)


def _answers(engine: Engine, candidates: pa.Table, n: int, settings: MinHashSettings) -> tuple[Any, Any, Any, float]:
    """Return what `_sets` does for the words of answers, and their least overlap; empty when they are not compared."""
    if settings.min_answer_overlap is None or settings.key != "conversation":
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.uint64), 0.0
    return *_sets(engine, candidates, n, "answer", 1), settings.min_answer_overlap


def _sets(engine: Engine, candidates: pa.Table, n: int, key: Any, shingle_words: int) -> tuple[Any, Any, Any]:
    """Return place and size of each rank's set, and the sets one behind another, as `sets_of` does."""
    (found,) = engine.map(candidates, partial(sets_in_batch, key=key, shingle_words=shingle_words), (SETS,))
    places, sizes = np.zeros(n, np.int64), np.zeros(n, np.int64)
    parts: list[npt.NDArray[np.uint64]] = [np.zeros(0, np.uint64)]
    at = 0
    for batch in found.to_batches():
        lists = batch.column(1)
        ranks, values = batch.column(0).to_numpy(), lists.flatten().to_numpy()
        bounds = lists.offsets.to_numpy() - lists.offsets[0].as_py()
        places[ranks], sizes[ranks] = bounds[:-1] + at, np.diff(bounds)
        parts.append(values)
        at += len(values)
    return places, sizes, np.concatenate(parts)
