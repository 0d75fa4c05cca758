"""Prefix filtering: two sets that are alike share one of their few rarest elements.

Chaudhuri, Ganti and Kaushik 2006, "A primitive operator for similarity joins in data cleaning"; Bayardo, Ma and
Srikant 2007, "Scaling up all pairs similarity search". In any one order of all elements, sets with a Jaccard similarity
of t or more share an element among the first `size - ceil(t · size) + 1` of each.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from steps.kernels.shingles import distinct, document_shingles, room_for_sets
from steps.kernels.words import U


@njit(cache=True, nogil=True)
def count_shingles(data, extra, starts, ends, bounds, ranks, rows, kinds, lower, n, frequencies, counts):
    """Count every shingle of some documents in a table of 8-bit counters; arguments as of `shingle_sets`.

    `frequencies` is uint8 and a power of two long; its counters stop at 255. Shingles that share one look more frequent
    than they are, which costs time and nothing else. `counts` receives the number of distinct shingles by rank.
    """
    scratch, edges, hashes, table = room_for_sets(starts, ends, bounds, rows)
    mask = U(frequencies.shape[0] - 1)
    for row in rows:
        size = document_shingles(
            data, extra, starts, ends, bounds[row], bounds[row + 1], kinds, lower, n, scratch, edges, hashes
        )
        size = distinct(hashes, size, table)
        counts[ranks[row]] = size
        for i in range(size):
            slot = hashes[i] & mask
            if frequencies[slot] < 255:
                frequencies[slot] += np.uint8(1)


@njit(cache=True, nogil=True)
def prefix_keys(
    data, extra, starts, ends, bounds, ranks, rows, kinds, lower, n, frequencies, threshold, rank_bits, keys
):
    """List the keys of the shingles in each document's prefix that another document may have; return how many.

    `frequencies` comes from `count_shingles`, `threshold` is the least Jaccard similarity. `keys` receives, as far as
    there is room, the hash of each shingle in the high bits and the rank in the low `rank_bits`.
    """
    scratch, edges, hashes, table = room_for_sets(starts, ends, bounds, rows)
    mask = U(frequencies.shape[0] - 1)
    written = 0
    for row in rows:
        size = document_shingles(
            data, extra, starts, ends, bounds[row], bounds[row + 1], kinds, lower, n, scratch, edges, hashes
        )
        size = distinct(hashes, size, table)
        prefix = size - int(np.ceil(threshold * size - 1e-6)) + 1
        # Shingles of this document alone come first in the order and need no key.
        common = 0
        for i in range(size):
            frequency = frequencies[hashes[i] & mask]
            if frequency > 1:
                hashes[common] = (U(frequency) << U(56)) | (hashes[i] >> U(8))
                common += 1
        prefix -= size - common
        if prefix <= 0:
            continue
        rare = hashes[:common]
        rare.sort()
        rank = U(ranks[row])
        for i in range(min(prefix, common)):
            if written < keys.shape[0]:
                hashed = ((rare[i] << U(8)) * U(0x9E3779B97F4A7C15)) >> U(rank_bits)
                keys[written] = (max(hashed, U(1)) << U(rank_bits)) | rank
            written += 1
    return written
