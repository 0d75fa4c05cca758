"""Word n-grams of documents, as 64-bit hashes, straight from the UTF-8 of an Arrow column."""

from __future__ import annotations

import numpy as np
from numba import njit

from steps.kernels.words import PADDING, S2, S3, U, multiply_fold, put_words, separator_bits, trailing_zeros, word_hash

#: Odd multiplier of the polynomial over word hashes.
BASE = U(0xD6E8FEB86659FD93)


@njit(cache=True, nogil=True)
def scratch_bytes(starts, ends, bounds, rows):
    """Return the bytes that the normal form of the largest document may take.

    A word and what ends it take two bytes of text at least, so that there are at most a quarter as many words.
    """
    most = 0
    for row in rows:
        size = 0
        for segment in range(bounds[row], bounds[row + 1]):
            start = starts[segment]
            size += 2 * (ends[segment] - start) + 2
        most = max(most, size)
    return most + PADDING


@njit(cache=True, nogil=True)
def hash_words(scratch, size, edges, out):
    """Write the hash of every word of a normal form to `out`; return how many.

    `PADDING` bytes behind the normal form are cleared.
    """
    for i in range(size, size + PADDING):
        scratch[i] = 0
    # The places where words begin and end, in turn.
    n_edges = 0
    before = U(0)
    for at in range(0, size, 64):
        letters = ~separator_bits(scratch, at)
        changes = letters ^ ((letters << U(1)) | before)
        before = letters >> U(63)
        while changes:
            edges[n_edges] = at + trailing_zeros(changes)
            n_edges += 1
            changes &= changes - U(1)
    n_words = n_edges // 2
    for word in range(n_words):
        out[word] = word_hash(scratch, edges[2 * word], edges[2 * word + 1])
    return n_words


@njit(cache=True, nogil=True)
def document_shingles(data, extra, starts, ends, first, last, kinds, lower, n, scratch, edges, out):
    """Write the hash of every n-gram of words of segments `first` to `last` to `out`; return how many.

    A document of fewer than n words is one shingle, one without words none. A start below zero is the complement of a
    place in `extra`.
    """
    size = 0
    for segment in range(first, last):
        start, end = starts[segment], ends[segment]
        if start >= 0:
            size = put_words(data, start, end, kinds, lower, scratch, size)
        else:
            size = put_words(extra, ~start, ~start + (end - start), kinds, lower, scratch, size)
    n_words = hash_words(scratch, size, edges, out)
    if n_words == 0:
        return 0
    top = U(1)
    for _ in range(n):
        top *= BASE
    rolling = U(0)
    for word in range(min(n, n_words)):
        rolling = rolling * BASE + out[word]
    if n_words < n:
        out[0] = multiply_fold(rolling ^ S2, S3 ^ U(n_words))
        return 1
    # out[i] holds the hash of word i until the shingle that begins with it takes its place.
    for word in range(n, n_words):
        step = out[word] - out[word - n] * top
        out[word - n] = multiply_fold(rolling ^ S2, S3)
        rolling = rolling * BASE + step
    out[n_words - n] = multiply_fold(rolling ^ S2, S3)
    return n_words - n + 1


@njit(cache=True, nogil=True)
def distinct(hashes, size, table):
    """Move the distinct of the first hashes to the front; return how many.

    `table` has a power of two of slots, more than twice the hashes, and needs no clearing by the caller.
    """
    slots = 16
    while slots < 2 * size:
        slots *= 2
    for slot in range(slots):
        table[slot] = 0
    mask = U(slots - 1)
    found = 0
    for i in range(size):
        hashed = hashes[i] | U(hashes[i] == 0)  # zero marks a free slot
        slot = hashed & mask
        while table[slot] != 0 and table[slot] != hashed:
            slot = (slot + U(1)) & mask
        if table[slot] == 0:
            table[slot] = hashed
            hashes[found] = hashed
            found += 1
    return found


@njit(cache=True, nogil=True)
def room_for_sets(starts, ends, bounds, rows):
    """Return room for the shingle set of any of some documents: `scratch, edges, hashes`, the table of `distinct`."""
    room = scratch_bytes(starts, ends, bounds, rows)
    slots = 16
    while slots < room // 2 + 48:
        slots *= 2
    return (
        np.empty(room, np.uint8),
        np.empty(room // 2 + 16, np.int32),
        np.empty(room // 4 + 24, np.uint64),
        np.empty(slots, np.uint64),
    )


@njit(cache=True, nogil=True)
def shingle_sets(data, extra, starts, ends, bounds, ranks, rows, kinds, lower, n, places, out, sizes):
    """Write the shingle sets of some documents.

    Args:
        data: UTF-8 of the texts, uint8.
        extra: UTF-8 of the texts that were repaired, uint8.
        starts: First byte of each segment; below zero the complement of a place in `extra`.
        ends: Byte behind each segment, counted from the place where it would begin in `data`.
        bounds: First segment of each document, and one more.
        ranks: Number of each document in `places` and `sizes`.
        rows: The documents to do, by their place in `ranks`.
        kinds: Table of characters.
        lower: Table of lower case.
        n: Words of a shingle.
        places: Where the set of each rank goes.
        out: Receives the sets, uint64; with a length of zero, shingles are only counted.
        sizes: Receives the number of distinct shingles by rank.
    """
    scratch, edges, hashes, table = room_for_sets(starts, ends, bounds, rows)
    for row in rows:
        size = document_shingles(
            data, extra, starts, ends, bounds[row], bounds[row + 1], kinds, lower, n, scratch, edges, hashes
        )
        size = distinct(hashes, size, table)
        rank = ranks[row]
        sizes[rank] = size
        if out.shape[0]:
            place = places[rank]
            for i in range(size):
                out[place + i] = hashes[i]
