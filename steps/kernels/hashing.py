"""XXH64 of the strings of a column, without a Python object per string.

XXH64 is specified to the bit (Collet, "xxHash fast digest algorithm", version 0.1.1): a value computed here is the same
on every machine, in every version of every library, so that what is decided by it stays decided. A test compares it
with the reference library.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import int64, njit, types, uint8, uint64

from steps.kernels.buffers import texts_of

_P1, _P2 = np.uint64(0x9E3779B185EBCA87), np.uint64(0xC2B2AE3D27D4EB4F)
_P3, _P4, _P5 = np.uint64(0x165667B19E3779F9), np.uint64(0x85EBCA77C2B2AE63), np.uint64(0x27D4EB2F165667C5)
_BYTES = types.Array(uint8, 1, "C", readonly=True)
_LONGS = types.Array(int64, 1, "C", readonly=True)


@njit(uint64(uint64, int64), cache=True, nogil=True)
def _rotated(value, by):
    return (value << uint64(by)) | (value >> uint64(64 - by))


@njit(uint64(_BYTES, int64, int64), cache=True, nogil=True)
def _little_endian(data, at, width):
    value = uint64(0)
    for i in range(width):
        value |= uint64(data[at + i]) << uint64(8 * i)
    return value


@njit(uint64(uint64, uint64), cache=True, nogil=True)
def _round(accumulator, lane):
    return _rotated(accumulator + lane * _P2, 31) * _P1


@njit(types.void(_BYTES, _LONGS, uint64, types.Array(uint64, 1, "C")), cache=True, nogil=True)
def _xxh64(data, offsets, seed, hashes):
    lanes = np.empty(4, np.uint64)
    for text in range(len(offsets) - 1):
        at, end = offsets[text], offsets[text + 1]
        value = seed + _P5
        if end - at >= 32:
            lanes[0], lanes[1], lanes[2], lanes[3] = seed + _P1 + _P2, seed + _P2, seed, seed - _P1
            while at + 32 <= end:
                for i in range(4):
                    lanes[i] = _round(lanes[i], _little_endian(data, at + 8 * i, 8))
                at += 32
            value = _rotated(lanes[0], 1) + _rotated(lanes[1], 7) + _rotated(lanes[2], 12) + _rotated(lanes[3], 18)
            for i in range(4):
                value = (value ^ _round(uint64(0), lanes[i])) * _P1 + _P4
        value += uint64(end - offsets[text])
        while at + 8 <= end:
            value = _rotated(value ^ _round(uint64(0), _little_endian(data, at, 8)), 27) * _P1 + _P4
            at += 8
        if at + 4 <= end:
            value = _rotated(value ^ (_little_endian(data, at, 4) * _P1), 23) * _P2 + _P3
            at += 4
        while at < end:
            value = _rotated(value ^ (uint64(data[at]) * _P5), 11) * _P1
            at += 1
        value = (value ^ (value >> uint64(33))) * _P2
        value = (value ^ (value >> uint64(29))) * _P3
        hashes[text] = value ^ (value >> uint64(32))


def hash_strings(column: pa.Array | pa.ChunkedArray, seed: int) -> npt.NDArray[np.uint64]:
    """Return the XXH64 of each string's UTF-8; a null hashes as an empty string.

    Args:
        column: Strings.
        seed: 0 to 2^64 - 1.
    """
    texts = texts_of(column)
    hashes = np.empty(texts.n, np.uint64)
    _xxh64(texts.data, texts.offsets, np.uint64(seed), hashes)
    return hashes
