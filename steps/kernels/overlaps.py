"""Compiled look-ups of n-grams in a sorted index, and what two texts have in common."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import float64, int32, int64, njit, types, uint64

_LONGS = types.Array(int64, 1, "C", readonly=True)
_HASHES = types.Array(uint64, 1, "C", readonly=True)
_FLAGS = types.Array(types.boolean, 1, "C", readonly=True)
_INTS = types.Array(types.int32, 1, "C", readonly=True)

#: Buckets per entry of the table that leads from an n-gram's top bits to its place: about one look a query.
_BUCKETS_PER_ENTRY = 1
_MAX_BUCKET_BITS = 26
#: Bits per entry of the bitmap that is asked first.
_BITS_PER_ENTRY = 16
_MAX_SIEVE_BITS = 32


def buckets_of(grams: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """Return where the n-grams of each bucket begin; a bucket is the n-grams with the same top bits.

    Args:
        grams: Sorted, distinct.

    Returns:
        Shape (2^bits + 1,), int64.
    """
    bits = min(max(int(len(grams) * _BUCKETS_PER_ENTRY).bit_length(), 1), _MAX_BUCKET_BITS)
    buckets = np.zeros((1 << bits) + 1, np.int64)
    np.cumsum(np.bincount((grams >> np.uint64(64 - bits)).astype(np.int64), minlength=1 << bits), out=buckets[1:])
    return buckets


def sieve_of(grams: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Return a bitmap by top bits that is 1 where an n-gram stands.

    A query that is not indexed ends here 15 times in 16, in two bytes an entry, which a cache holds where it does not
    hold the index.
    """
    bits = min(max(int(len(grams) * _BITS_PER_ENTRY - 1).bit_length(), 6), _MAX_SIEVE_BITS)
    sieve = np.zeros(1 << (bits - 6), np.uint64)
    places = grams >> np.uint64(64 - bits)
    np.bitwise_or.at(sieve, places >> np.uint64(6), np.uint64(1) << (places & np.uint64(63)))
    return sieve


@njit(int64(int64), cache=True, nogil=True)
def _bits_of(size):
    bits = 0
    while (1 << bits) < size:
        bits += 1
    return bits


@njit(int64(uint64, _HASHES, _LONGS, uint64), cache=True, nogil=True)
def _place(gram, grams, buckets, shift):
    bucket = gram >> shift
    for at in range(buckets[bucket], buckets[bucket + 1]):
        if grams[at] == gram:
            return at
    return -1


@njit(
    types.void(
        _HASHES, _LONGS, int64, _HASHES, _LONGS, _HASHES, types.Array(int32, 1, "C"), types.Array(int32, 1, "C"),
        types.Array(int64, 1, "C"),
    ),
    cache=True,
    nogil=True,
)  # fmt: skip
def count_texts(queries, starts, first, grams, buckets, sieve, counts, last, hits):
    """Count in how many texts each indexed n-gram occurs, and how many distinct indexed n-grams each text has.

    Args:
        queries: N-grams of the texts, in order, and `starts` of each text.
        starts: Shape (texts + 1,).
        first: Number of the first text, so that several calls can go on counting.
        grams: The index, sorted, with its `buckets`.
        buckets: From `buckets_of`.
        sieve: From `sieve_of`.
        counts: Out, one per indexed n-gram.
        last: Scratch, one per indexed n-gram; the last text that had it, -1 before any. Two thousand million texts fit.
        hits: Out, one per text.
    """
    shift = uint64(64 - _bits_of(len(buckets) - 1))
    sieve_shift = uint64(64 - 6 - _bits_of(len(sieve)))
    for text in range(len(starts) - 1):
        for i in range(starts[text], starts[text + 1]):
            bit = queries[i] >> sieve_shift
            if not (sieve[bit >> uint64(6)] >> (bit & uint64(63))) & uint64(1):
                continue
            at = _place(queries[i], grams, buckets, shift)
            if at >= 0 and last[at] != first + text:
                last[at] = first + text
                counts[at] += 1
                hits[text] += 1


@njit(types.void(_FLAGS, _LONGS, int64, types.Array(int64, 1, "C")), cache=True, nogil=True)
def count_telling_words(forward, starts, n, telling):
    """Count the words of each indexed text that stand in at least one n-gram that is not frequent.

    Args:
        forward: Whether each n-gram of the texts, in order, is telling: not frequent.
        starts: Shape (texts + 1,).
        n: Words of an n-gram.
        telling: Out, one per text.
    """
    for text in range(len(starts) - 1):
        covered_to, covered = int64(0), int64(0)
        for i in range(starts[text], starts[text + 1]):
            if forward[i]:
                position = i - starts[text]
                covered += position + n - max(position, covered_to)
                covered_to = position + n
        telling[text] = covered


@njit(
    types.void(
        _HASHES, _LONGS, int64, _HASHES, _LONGS, _LONGS, _INTS, _INTS, _FLAGS, _LONGS, types.boolean, float64,
        types.Array(int64, 1, "C"), types.Array(float64, 1, "C"), types.Array(int64, 2, "C"),
    ),
    cache=True,
    nogil=True,
)  # fmt: skip
def best_matches(
    queries, starts, n, grams, buckets, entry_starts, entry_texts, entry_positions, frequent, sizes, by_coverage,
    least, best, scores, spans,
):  # fmt: skip
    """Find for each text the indexed text that it overlaps most; of equal ones the first.

    Two measures, on n-grams that are not `frequent`: the shared distinct ones as a share of the shorter text's
    (`by_coverage` false, `sizes` the distinct ones of each indexed text), or the words of the indexed text that shared
    n-grams cover (`by_coverage` true, `sizes` the telling words of each indexed text).

    Args:
        queries: N-grams of the texts, in order, with `starts`.
        starts: Shape (texts + 1,).
        n: Words of an n-gram.
        grams: The index, sorted, with its `buckets`.
        buckets: From `buckets_of`.
        entry_starts: First entry of each indexed n-gram; entries are ordered by text and position.
        entry_texts: Indexed text of each entry.
        entry_positions: Word at which the n-gram begins there.
        frequent: One per indexed n-gram.
        sizes: One per indexed text.
        by_coverage: Which measure.
        least: Matches below it are not reported.
        best: Out; indexed text, or -1.
        scores: Out; its measure.
        spans: Out, shape (texts, 2); first word and end of the longest shared run in the indexed text.
    """
    shift = uint64(64 - _bits_of(len(buckets) - 1))
    for text in range(len(starts) - 1):
        best[text] = -1
        own = np.sort(queries[starts[text] : starts[text + 1]])
        places = np.empty(len(own), np.int64)
        n_telling, n_found, n_entries = 0, 0, 0
        for i in range(len(own)):
            if i and own[i] == own[i - 1]:
                continue
            at = _place(own[i], grams, buckets, shift)
            if at >= 0 and frequent[at]:
                continue
            n_telling += 1
            if at >= 0:
                places[n_found] = at
                n_found += 1
                n_entries += entry_starts[at + 1] - entry_starts[at]
        if not n_found:
            continue
        # An entry as one number: text, position, and whether it is the n-gram's first in that text.
        entries = np.empty(n_entries, np.uint64)
        filled = 0
        for i in range(n_found):
            for j in range(entry_starts[places[i]], entry_starts[places[i] + 1]):
                fresh = j == entry_starts[places[i]] or entry_texts[j - 1] != entry_texts[j]
                packed = (uint64(entry_texts[j]) << uint64(32)) | (uint64(entry_positions[j]) << uint64(1))
                entries[filled] = packed | uint64(1 if fresh else 0)
                filled += 1
        entries.sort()
        i = 0
        while i < filled:
            other = int64(entries[i] >> uint64(32))
            shared, covered, covered_to = 0, int64(0), int64(0)
            run, longest, longest_from = int64(0), int64(0), int64(0)
            while i < filled and int64(entries[i] >> uint64(32)) == other:
                position = int64((entries[i] & uint64(0xFFFFFFFF)) >> uint64(1))
                shared += int64(entries[i] & uint64(1))
                if covered and position <= covered_to:
                    run += position + n - covered_to
                else:
                    run = n
                covered += position + n - max(position, covered_to)
                covered_to = position + n
                if run > longest:
                    longest, longest_from = run, covered_to - run
                i += 1
            whole = sizes[other] if by_coverage else min(sizes[other], n_telling)
            score = (covered if by_coverage else shared) / whole
            if score >= least and (best[text] < 0 or score > scores[text]):
                best[text], scores[text] = other, score
                spans[text, 0], spans[text, 1] = longest_from, longest_from + longest
