"""Words and word n-grams of texts, as 64-bit hashes.

The hashes are those of this module's own arithmetic on code points, so they are the same on every platform and in
every version of Python and numpy; the tables of `characters` follow the Unicode version of the interpreter.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import int64, njit, types, uint8, uint64

from steps.kernels.buffers import Texts
from steps.kernels.characters import characters

Hashes = npt.NDArray[np.uint64]
Starts = npt.NDArray[np.int64]

#: FNV-1a, 64 bits (RFC 9923), over code points instead of bytes.
_FNV_OFFSET = np.uint64(0xCBF29CE484222325)
_FNV_PRIME = np.uint64(0x100000001B3)
#: Odd multiplier of the polynomial over word hashes (the golden ratio's fraction).
_POLYNOMIAL = np.uint64(0x9E3779B97F4A7C15)
#: Finaliser of MurmurHash3 (Appleby 2011): every input bit reaches every output bit.
_MIX_1, _MIX_2 = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)
_SHIFT = np.uint64(33)

_BYTES = types.Array(uint8, 1, "C", readonly=True)
_LONGS = types.Array(int64, 1, "C", readonly=True)
_HASHES = types.Array(uint64, 1, "C", readonly=True)
_POINTS = types.Array(types.int32, 1, "C", readonly=True)


@njit(uint64(uint64), cache=True, nogil=True)
def mix(value):  # type: ignore[no-untyped-def]
    """Return the value with its bits spread evenly, so that its top bits can choose a bucket."""
    value ^= value >> _SHIFT
    value *= _MIX_1
    value ^= value >> _SHIFT
    value *= _MIX_2
    return value ^ (value >> _SHIFT)


@njit(
    types.UniTuple(int64, 1)(
        _BYTES, _LONGS, _BYTES, _POINTS, types.Array(uint64, 1, "C"), types.Array(int64, 1, "C"),
        types.Array(int64, 1, "C"),
    ),
    cache=True,
    nogil=True,
)  # fmt: skip
def _words(data, offsets, kinds, lower, hashes, begins, starts):  # type: ignore[no-untyped-def]
    """Fill the hash and first byte of every word, and each text's first word; return the number of words."""
    n = 0
    for text in range(len(offsets) - 1):
        starts[text] = n
        at, end = offsets[text], offsets[text + 1]
        value, inside = _FNV_OFFSET, False
        while at < end:
            first = data[at]
            width = 1
            code = int64(first)
            if first >= 0xF0:
                width, code = 4, code & 0x07
            elif first >= 0xE0:
                width, code = 3, code & 0x0F
            elif first >= 0xC0:
                width, code = 2, code & 0x1F
            for i in range(1, min(width, end - at)):
                code = (code << 6) | (int64(data[at + i]) & 0x3F)
            kind = kinds[code]
            if kind != 1 and inside:
                hashes[n] = mix(value)
                n += 1
                inside = False
            if kind != 0:
                if not inside:
                    begins[n] = at
                    value, inside = _FNV_OFFSET, True
                value = (value ^ uint64(lower[code])) * _FNV_PRIME
                if kind == 2:
                    hashes[n] = mix(value)
                    n += 1
                    inside = False
            at += width
        if inside:
            hashes[n] = mix(value)
            n += 1
    starts[len(offsets) - 1] = n
    return (n,)


@njit(types.void(_HASHES, _LONGS, int64, _LONGS, types.Array(uint64, 1, "C")), cache=True, nogil=True)
def _ngrams(hashes, starts, n, gram_starts, grams):  # type: ignore[no-untyped-def]
    top = uint64(1)
    for _ in range(n - 1):
        top *= _POLYNOMIAL
    for text in range(len(starts) - 1):
        first, last = starts[text], starts[text + 1]
        if last - first < n:
            continue
        value = uint64(0)
        for i in range(first, first + n):
            value = value * _POLYNOMIAL + hashes[i]
        at = gram_starts[text]
        grams[at] = mix(value)
        for i in range(first + n, last):
            value = (value - hashes[i - n] * top) * _POLYNOMIAL + hashes[i]
            at += 1
            grams[at] = mix(value)


@njit(types.void(_HASHES, _LONGS, types.Array(uint64, 1, "C")), cache=True, nogil=True)
def _wholes(hashes, starts, wholes):  # type: ignore[no-untyped-def]
    for text in range(len(starts) - 1):
        value = uint64(starts[text + 1] - starts[text])
        for i in range(starts[text], starts[text + 1]):
            value = value * _POLYNOMIAL + hashes[i]
        wholes[text] = mix(value)


class Words:
    """The words of some texts.

    Attributes:
        hashes: Shape (words,), uint64.
        begins: Shape (words,), int64; the first byte of each word in `texts.data`.
        starts: Shape (texts + 1,), int64; the words of text `i` are `hashes[starts[i]:starts[i + 1]]`.
    """

    def __init__(self, texts: Texts) -> None:
        tables = characters()
        most = len(texts.data) // 2 + texts.n + 1  # a word of one byte needs a separator beside it
        hashes, begins = np.empty(most, np.uint64), np.empty(most, np.int64)
        self.starts: Starts = np.zeros(texts.n + 1, np.int64)
        (n,) = _words(texts.data, texts.offsets, tables.kinds, tables.lower, hashes, begins, self.starts)
        self.hashes: Hashes = hashes[:n]
        self.begins: Starts = begins[:n]

    @property
    def counts(self) -> Starts:
        """Number of words of each text."""
        return np.diff(self.starts)

    def ngrams(self, n: int) -> tuple[Hashes, Starts]:
        """Return the hash of every n-gram in order, repeats included, and each text's first; short texts have none."""
        sizes = np.maximum(self.counts - (n - 1), 0)
        starts = np.zeros(len(sizes) + 1, np.int64)
        np.cumsum(sizes, out=starts[1:])
        grams = np.empty(int(starts[-1]), np.uint64)
        _ngrams(self.hashes, self.starts, n, starts, grams)
        return grams, starts

    def wholes(self) -> Hashes:
        """Return one hash of each text's words, whatever their number."""
        wholes = np.empty(len(self.starts) - 1, np.uint64)
        _wholes(self.hashes, self.starts, wholes)
        return wholes
