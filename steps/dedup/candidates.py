"""Which rows are worth comparing: buckets of rows that share a band of their MinHash, or a rare shingle.

Both are exact in what they promise and know no pair of rows: a row lists the buckets that it is in, and the join walks
them. So the work grows with the rows kept in a bucket, not with the square of its size.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from steps.dedup.segments import Integers, Segments, tasks

#: Pieces of work per thread: enough that none waits long for the last.
PIECES_PER_THREAD = 8


class Buckets(NamedTuple):
    """The buckets of each row.

    Attributes:
        bounds: Shape (rows + 1,): rank r is in the buckets `members[bounds[r]:bounds[r + 1]]`.
        members: Numbers of buckets, each of which holds several rows.
        n: Number of buckets.
        counts: Shingles of each rank, repeats included.
        sketches: uint8, shape (rows, LANES), or (0, LANES).
        min_agreement: Sketches of a pair that is alike agree in at least so many bytes.
    """

    bounds: Integers
    members: npt.NDArray[np.int64]
    n: int
    counts: npt.NDArray[np.int64]
    sketches: npt.NDArray[np.uint8]
    min_agreement: int

    @property
    def candidates(self) -> npt.NDArray[np.bool_]:
        """By rank, whether a row shares a bucket with another."""
        return np.diff(self.bounds) > 0


def cores() -> int:
    """Return the number of cores that the process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Workers:
    """Threads for compiled loops, which do not hold Python's lock."""

    def __init__(self, threads: int) -> None:
        self.n = threads

    def map(self, function: Callable[..., Any], items: Sequence[Any]) -> list[Any]:
        """Return the results in order; with one thread, without any pool."""
        if self.n == 1 or len(items) < 2:
            return [function(item) for item in items]
        with ThreadPoolExecutor(self.n) as pool:
            return list(pool.map(function, items))


def rank_bits(n_rows: int) -> int:
    """Return the low bits of a key that hold a rank; the rest hold its hash, 44 bits at a million rows.

    A collision of two hashes costs one comparison and nothing else.
    """
    return max(1, int(n_rows - 1).bit_length())


def permutations(seed: int) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    """Return odd factors and addends of `LANES` permutations of the 32-bit integers, x ↦ a·x + b."""
    from steps.kernels.minhash import LANES

    rng = np.random.default_rng(seed)
    factors = rng.integers(0, 1 << 31, LANES, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    return factors.astype(np.uint32), rng.integers(0, 1 << 32, LANES, dtype=np.uint64).astype(np.uint32)


class Signatures(NamedTuple):
    """What MinHash says of some documents.

    Attributes:
        keys: Hash of each band, uint64, shape (bands, documents), in the order of the segments; zero for a document
            without words.
        sketches: Lowest byte of every minimum, uint8, shape (documents, LANES), by rank.
        counts: Shingles, repeats included, int64, by rank.
    """

    keys: npt.NDArray[np.uint64]
    sketches: npt.NDArray[np.uint8]
    counts: npt.NDArray[np.int64]


def signatures_of(
    segments: list[Segments], n: int, shingle_words: int, bands: tuple[int, int], seed: int, workers: Workers
) -> Signatures:
    """Sign documents.

    Args:
        segments: The documents.
        n: How many ranks there are.
        shingle_words: Words of a shingle.
        bands: Number of bands, and permutations of each.
        seed: Seed of the permutations.
        workers: Threads.
    """
    from steps.kernels.characters import characters
    from steps.kernels.minhash import LANES, sign

    kinds, lower = characters()
    factors, addends = permutations(seed)
    columns = np.cumsum([0, *(each.n for each in segments)])
    signed = Signatures(
        np.empty((bands[0], columns[-1]), np.uint64), np.zeros((n, LANES), np.uint8), np.zeros(n, np.int64)
    )
    first_column = dict(zip(map(id, segments), columns.tolist(), strict=False))

    def work(task: tuple[Segments, Integers]) -> None:
        each, rows = task
        sign(
            *each.kernel_arguments, rows, kinds, lower, shingle_words, factors, addends, *bands,
            first_column[id(each)], *signed,
        )  # fmt: skip

    workers.map(work, tasks(segments, None, PIECES_PER_THREAD * workers.n))
    return signed


def bands_in_common(
    signed: Signatures, ranks: Integers, bands: tuple[int, int], threshold: float, workers: Workers
) -> Buckets:
    """Return the buckets of rows whose MinHash agrees in a band.

    Args:
        signed: The signatures; their keys are overwritten.
        ranks: Rank of each column of the keys.
        bands: Number of bands, and permutations of each.
        threshold: Least Jaccard similarity of a duplicate, for the sketches' prefilter.
        workers: Threads.
    """
    from steps.kernels.minhash import pack

    bits = rank_bits(len(ranks))

    def work(band: int) -> None:
        pack(signed.keys[band], ranks, bits)
        signed.keys[band].sort()

    workers.map(work, range(bands[0]))
    bounds, members, n_buckets = grouped(list(signed.keys), bits, len(ranks))
    least = min_agreement(threshold, bands[0] * bands[1])
    return Buckets(bounds, members, n_buckets, signed.counts, signed.sketches, least)


def grouped(keys: list[npt.NDArray[np.uint64]], bits: int, n: int) -> tuple[Integers, npt.NDArray[np.int64], int]:
    """Return bounds, members and number of the buckets that sorted keys make."""
    from steps.kernels.join import by_rank, shared_buckets

    none = np.zeros(0, np.int64)
    sizes = [shared_buckets(each, bits, 0, none, none) for each in keys]
    entries = np.cumsum([0, *(size for size, _ in sizes)])
    firsts = np.cumsum([0, *(buckets for _, buckets in sizes)])
    ranks, buckets = np.empty(entries[-1], np.int64), np.empty(entries[-1], np.int64)
    for number, each in enumerate(keys):
        if sizes[number][0]:
            place = slice(entries[number], entries[number + 1])
            shared_buckets(each, bits, int(firsts[number]), ranks[place], buckets[place])
    bounds, members = np.zeros(n + 1, np.int64), np.empty(len(ranks), np.int64)
    by_rank(ranks, buckets, bounds, members)
    return bounds, members, int(firsts[-1])


def min_agreement(threshold: float, used: int) -> int:
    """Return the bytes in which the sketches of a pair at the threshold agree, but for one pair in a billion.

    Agreements of `used` permutations are binomial; six standard deviations are subtracted from their mean, and the
    unused bytes always agree.
    """
    from steps.kernels.minhash import LANES

    least = used * threshold - 6 * float(np.sqrt(used * threshold * (1 - threshold)))
    return max(0, int(least)) + LANES - used


def sets_of(
    segments: list[Segments],
    counts: npt.NDArray[np.int64] | None,
    wanted: npt.NDArray[np.bool_],
    shingle_words: int,
    workers: Workers,
) -> tuple[Integers, Integers, npt.NDArray[np.uint64]]:
    """Return the shingle sets of some rows: places and sizes by rank, and the sets one behind another.

    Args:
        segments: The documents.
        counts: Shingles of each rank, or an upper bound; None counts them first.
        wanted: By rank, whose sets.
        shingle_words: Words of a shingle.
        workers: Threads.
    """
    from steps.kernels.characters import characters
    from steps.kernels.shingles import shingle_sets

    kinds, lower = characters()
    pieces = tasks(segments, wanted, PIECES_PER_THREAD * workers.n)
    sizes = np.zeros(len(wanted), np.int64)

    def write(places: Integers, sets: npt.NDArray[np.uint64]) -> None:
        def work(task: tuple[Segments, Integers]) -> None:
            each, rows = task
            shingle_sets(*each.kernel_arguments, rows, kinds, lower, shingle_words, places, sets, sizes)

        workers.map(work, pieces)

    if counts is None:
        write(np.zeros(len(wanted), np.int64), np.zeros(0, np.uint64))
        counts = sizes.copy()
    places = np.concatenate([[0], np.cumsum(np.where(wanted, counts, 0), dtype=np.int64)])
    sets = np.empty(places[-1], np.uint64)
    if len(sets):
        write(places[:-1], sets)
    return places[:-1], sizes, sets
