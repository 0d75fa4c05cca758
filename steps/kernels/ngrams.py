"""Words and word n-grams of texts in order, as 64-bit hashes: the words of `shingles`, for several n at once.

The hashes are the same on every platform and in every version of numpy; the tables of `characters` follow the Unicode
version of the interpreter.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from steps.kernels.buffers import Texts
from steps.kernels.characters import characters
from steps.kernels.shingles import BASE, hash_words
from steps.kernels.words import PADDING, S2, S3, U, multiply_fold, put_words

Hashes = npt.NDArray[np.uint64]
Starts = npt.NDArray[np.int64]


@njit(cache=True, nogil=True)
def _words(data, offsets, kinds, lower, longest, hashes, starts):
    """Fill the hash of every word and each text's first word; return the number of words."""
    scratch = np.empty(2 * longest + 2 + PADDING, np.uint8)
    edges = np.empty(2 * longest + 2 + PADDING, np.int32)
    n_words = 0
    for text in range(len(offsets) - 1):
        starts[text] = n_words
        size = put_words(data, offsets[text], offsets[text + 1], kinds, lower, scratch, 0)
        n_words += hash_words(scratch, size, edges, hashes[n_words:])
    starts[len(offsets) - 1] = n_words
    return n_words


@njit(cache=True, nogil=True)
def _ngrams(hashes, starts, n, gram_starts, grams):
    top = U(1)
    for _ in range(n):
        top *= BASE
    for text in range(len(starts) - 1):
        first, last = starts[text], starts[text + 1]
        if last - first < n:
            continue
        rolling = U(0)
        for i in range(first, first + n):
            rolling = rolling * BASE + hashes[i]
        at = gram_starts[text]
        grams[at] = multiply_fold(rolling ^ S2, S3)
        for i in range(first + n, last):
            rolling = rolling * BASE + hashes[i] - hashes[i - n] * top
            at += 1
            grams[at] = multiply_fold(rolling ^ S2, S3)


@njit(cache=True, nogil=True)
def _wholes(hashes, starts, wholes):
    for text in range(len(starts) - 1):
        rolling = U(starts[text + 1] - starts[text])
        for i in range(starts[text], starts[text + 1]):
            rolling = rolling * BASE + hashes[i]
        wholes[text] = multiply_fold(rolling ^ S2, S3)


class Words:
    """The words of some texts.

    Attributes:
        hashes: Shape (words,), uint64.
        starts: Shape (texts + 1,), int64; the words of text `i` are `hashes[starts[i]:starts[i + 1]]`.
    """

    def __init__(self, hashes: Hashes, starts: Starts) -> None:
        self.hashes = hashes
        self.starts = starts
        self._ngrams: dict[int, tuple[Hashes, Starts]] = {}

    @classmethod
    def of(cls, texts: Texts) -> Words:
        """Return the words of texts in NFKC."""
        tables = characters()
        most = len(texts.data) // 2 + texts.n + 1  # a word of one byte needs a separator beside it
        hashes, starts = np.empty(most, np.uint64), np.zeros(texts.n + 1, np.int64)
        longest = int(np.diff(texts.offsets).max(initial=0))
        n_words = _words(texts.data, texts.offsets, tables.kinds, tables.lower, longest, hashes, starts)
        return cls(hashes[:n_words], starts)

    def select(self, chosen: npt.NDArray[np.bool_]) -> Words:
        """Return the words of some of the texts."""
        if chosen.all():
            return self
        counts = self.counts
        starts = np.zeros(int(chosen.sum()) + 1, np.int64)
        np.cumsum(counts[chosen], out=starts[1:])
        return Words(self.hashes[np.repeat(chosen, counts)], starts)

    @property
    def counts(self) -> Starts:
        """Number of words of each text."""
        return np.diff(self.starts)

    def ngrams(self, n: int) -> tuple[Hashes, Starts]:
        """Return the hash of every n-gram in order, repeats included, and each text's first; short texts have none."""
        if n not in self._ngrams:
            sizes = np.maximum(self.counts - (n - 1), 0)
            starts = np.zeros(len(sizes) + 1, np.int64)
            np.cumsum(sizes, out=starts[1:])
            grams = np.empty(int(starts[-1]), np.uint64)
            _ngrams(self.hashes, self.starts, n, starts, grams)
            self._ngrams[n] = grams, starts
        return self._ngrams[n]

    def forget(self) -> None:
        """Let go of the n-grams that were asked for before."""
        self._ngrams.clear()

    def wholes(self) -> Hashes:
        """Return one hash of each text's words, whatever their number."""
        wholes = np.empty(len(self.starts) - 1, np.uint64)
        _wholes(self.hashes, self.starts, wholes)
        return wholes


def words_of(text: bytes) -> list[str]:
    """Return the words of one text in lower case, as they are hashed."""
    tables = characters()
    data = np.frombuffer(text, np.uint8)
    out = np.empty(2 * len(data) + 2, np.uint8)
    size = put_words(data, 0, len(data), tables.kinds, tables.lower, out, 0)
    return [word.decode() for word in bytes(out[:size]).split(b"\0") if word]
