"""Counts words, as `steps.filtering.words` finds them, without making one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from steps.kernels.buffers import Bytes, Offsets
from steps.kernels.characters import LETTER, WORD


@njit("int64[:](uint8[::1], int64[::1], uint8[::1])", cache=True, nogil=True)
def count_words(data: Bytes, offsets: Offsets, kinds: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Return the number of words of each text, shape (texts,), int64.

    Args:
        data: UTF-8 of all texts.
        offsets: Shape (texts + 1,).
        kinds: `steps.kernels.characters.Characters.kinds`.
    """
    counts = np.zeros(len(offsets) - 1, np.int64)
    for text in range(len(offsets) - 1):
        inside = False
        i, end, n = offsets[text], offsets[text + 1], 0
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
