"""Counts words, as `steps.filtering.words` finds them, without making one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from steps.kernels.buffers import Bytes, Offsets
from steps.kernels.characters import LETTER, WORD
from steps.kernels.words import ascii_run


@njit(cache=True, nogil=True)
def count_words(data: Bytes, offsets: Offsets, kinds: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Return the number of words of each text, shape (texts,), int64.

    Args:
        data: UTF-8 of all texts.
        offsets: Shape (texts + 1,).
        kinds: `steps.kernels.characters.Characters.kinds`.
    """
    counts = np.zeros(len(offsets) - 1, np.int64)
    for text in range(len(offsets) - 1):
        i, end = offsets[text], offsets[text + 1]
        stop = ascii_run(data, i, end)
        n = _words(data[i:stop])
        inside = stop > i and kinds[data[stop - 1]] == LETTER
        i = stop
        while i < end:
            code = np.int64(data[i])
            if code < 0x80:
                i += 1
            elif code < 0xE0:
                code = (code & 0x1F) << 6 | (data[i + 1] & 0x3F)
                i += 2
            elif code < 0xF0:
                code = (code & 0x0F) << 12 | (data[i + 1] & 0x3F) << 6 | (data[i + 2] & 0x3F)
                i += 3
            else:
                code = (code & 7) << 18 | (data[i + 1] & 0x3F) << 12 | (data[i + 2] & 0x3F) << 6 | (data[i + 3] & 0x3F)
                i += 4
            kind = kinds[code]
            if kind == WORD or (kind == LETTER and not inside):
                n += 1
            inside = kind == LETTER
        counts[text] = n
    return counts


@njit(cache=True, nogil=True)
def _words(text):  # type: ignore[no-untyped-def]
    """Count the words of ASCII; it compiles to SIMD."""
    n = 0
    if text.shape[0]:
        n += _is_letter(text[0])
    for i in range(1, text.shape[0]):
        n += _is_letter(text[i]) & ~_is_letter(text[i - 1])
    return n


@njit(cache=True, nogil=True)
def _is_letter(byte):  # type: ignore[no-untyped-def]
    letter = np.uint8(np.uint8(byte | np.uint8(32)) - np.uint8(97)) < np.uint8(26)
    return letter | (np.uint8(byte - np.uint8(48)) < np.uint8(10)) | (byte == np.uint8(95))
