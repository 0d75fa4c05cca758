"""Shingles: the set of word n-grams of a text, as 64-bit hashes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import xxhash

Shingles = npt.NDArray[np.uint64]

#: Odd 64-bit multiplier of the polynomial over word hashes (the golden ratio's fraction). Two different n-grams
#: collide with a chance of about 2^-64; among a billion n-grams one collision is expected once in 37 corpora.
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


def shingles(tokens: Sequence[str], n: int) -> Shingles:
    """Return the sorted distinct hashes of the n-grams of words.

    A text of fewer than `n` words is one shingle, a text without words none.

    >>> len(shingles("to be or not to be".split(), 2))
    4
    """
    return np.unique(ngram_hashes(tokens, n))


def ngram_hashes(tokens: Sequence[str], n: int) -> Shingles:
    """Return the hash of every n-gram of words, in order, repeats included."""
    hashes = np.fromiter(map(_word_hash, tokens), dtype=np.uint64, count=len(tokens))
    width = min(n, len(tokens))
    if not width:
        return hashes
    total = np.full(len(tokens) - width + 1, width, dtype=np.uint64)
    for offset in range(width):
        total = total * _MULTIPLIER + hashes[offset : len(tokens) - width + 1 + offset]
    return total


@lru_cache(maxsize=1 << 18)
def _word_hash(word: str) -> int:
    return xxhash.xxh3_64_intdigest(word.encode("utf-8", "surrogatepass"))


def jaccard(left: Shingles, right: Shingles) -> float:
    """Return the shared part of two shingle sets: |intersection| / |union|; two empty sets share nothing.

    >>> a, b = shingles("a b c".split(), 1), shingles("b c d".split(), 1)
    >>> jaccard(a, b)
    0.5
    """
    if not len(left) or not len(right):
        return 0.0
    shared = len(np.intersect1d(left, right, assume_unique=True))
    return shared / (len(left) + len(right) - shared)
