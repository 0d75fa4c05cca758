"""MinHash of documents: the key of every band, and a sketch that tells most false candidates."""

from __future__ import annotations

import numpy as np
from numba import njit

from steps.kernels.shingles import document_shingles, scratch_bytes
from steps.kernels.words import S0, S1, U, load64, multiply_fold, popcount

#: Width of signatures and sketches: whole SIMD registers; 125 lanes take twice the time of 128.
LANES = 128


@njit(cache=True, nogil=True)
def update(signature, factors, addends, hashes, at):
    """Take eight shingles into a signature. Unrolled over shingles, it compiles to SIMD over permutations."""
    x0, x1, x2, x3 = (
        np.uint32(hashes[at] >> U(32)),
        np.uint32(hashes[at + 1] >> U(32)),
        np.uint32(hashes[at + 2] >> U(32)),
        np.uint32(hashes[at + 3] >> U(32)),
    )
    x4, x5, x6, x7 = (
        np.uint32(hashes[at + 4] >> U(32)),
        np.uint32(hashes[at + 5] >> U(32)),
        np.uint32(hashes[at + 6] >> U(32)),
        np.uint32(hashes[at + 7] >> U(32)),
    )
    for k in range(LANES):
        a = factors[k]
        b = addends[k]
        least = signature[k]
        least = min(least, np.uint32(a * x0 + b))
        least = min(least, np.uint32(a * x1 + b))
        least = min(least, np.uint32(a * x2 + b))
        least = min(least, np.uint32(a * x3 + b))
        least = min(least, np.uint32(a * x4 + b))
        least = min(least, np.uint32(a * x5 + b))
        least = min(least, np.uint32(a * x6 + b))
        signature[k] = min(least, np.uint32(a * x7 + b))


@njit(cache=True, nogil=True)
def sign(
    data, extra, starts, ends, bounds, ranks, rows, kinds, lower, n, factors, addends, n_bands, n_rows,
    first_column, keys, sketches, counts,
):  # fmt: skip
    """Write band keys, sketches and numbers of shingles of some documents; the first arguments as of `shingle_sets`.

    The others:
        factors: Odd factors of the permutations, uint32, shape (LANES,).
        addends: Their addends, uint32.
        n_bands: Bands of a signature.
        n_rows: Permutations of a band.
        first_column: Column of `keys` of the first document in `ranks`.
        keys: Receives the hash of every band, uint64, shape (bands, documents); zero for a document without words.
        sketches: Receives the lowest byte of every minimum, uint8, shape (documents, LANES), by rank.
        counts: Receives the number of shingles, repeats included, by rank.
    """
    room = scratch_bytes(starts, ends, bounds, rows)
    scratch = np.empty(room, np.uint8)
    edges = np.empty(room, np.int32)
    hashes = np.empty(room // 2 + 16, np.uint64)
    signature = np.empty(LANES, np.uint32)
    used = n_bands * n_rows
    for row in rows:
        size = document_shingles(
            data, extra, starts, ends, bounds[row], bounds[row + 1], kinds, lower, n, scratch, edges, hashes
        )
        rank = ranks[row]
        counts[rank] = size
        if size == 0:
            for band in range(n_bands):
                keys[band, first_column + row] = U(0)
            continue
        for k in range(LANES):
            signature[k] = np.uint32(0xFFFFFFFF)
        for i in range(size, size + 8):
            hashes[i] = hashes[size - 1]
        for i in range(0, size, 8):
            update(signature, factors, addends, hashes, i)
        for band in range(n_bands):
            mixed = U(0)
            for k in range(band * n_rows, (band + 1) * n_rows):
                mixed = (mixed + U(signature[k])) * S0
            keys[band, first_column + row] = max(multiply_fold(mixed ^ S1, S0), U(1))
        for k in range(LANES):
            sketches[rank, k] = np.uint8(signature[k] & np.uint32(255)) if k < used else np.uint8(0)


@njit(cache=True, nogil=True)
def agreement(sketches, left, right):
    """Return in how many of `LANES` bytes two sketches agree."""
    same = 0
    low7 = U(0x7F7F7F7F7F7F7F7F)
    ours, theirs = sketches[left], sketches[right]
    for at in range(0, LANES, 8):
        differs = load64(ours, at) ^ load64(theirs, at)
        same += popcount(~(((differs & low7) + low7) | differs | low7))
    return same


@njit(cache=True, nogil=True)
def pack(keys, ranks, rank_bits):
    """Put the rank of each key into its low bits, in place; the high bits stay zero for a key of zero alone."""
    for i in range(keys.shape[0]):
        hashed = keys[i] >> U(rank_bits)
        if keys[i]:
            hashed = max(hashed, U(1))
        keys[i] = (hashed << U(rank_bits)) | U(ranks[i])
