"""What a character is, in tables that a compiled loop can index by code point.

The tables say what `steps.filtering.words` says in a regular expression, and a test compares the two on every code
point: words are runs of letters, digits, marks and underscores; a character of a script without spaces is a word.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from steps.filtering.words import UNSPACED

N_CODE_POINTS = 0x110000
#: No character above this code point is a letter (CJK extension H and what follows it end below).
LAST_LETTER = 0x33FFF

SEPARATOR, LETTER, WORD = 0, 1, 2


class Characters(NamedTuple):
    """Tables indexed by code point, shape (0x110000,).

    Attributes:
        kinds: uint8; `SEPARATOR` ends a word, `LETTER` belongs to one, `WORD` is a word of its own.
        lower: int32; the lower-case code point (the character itself where lower case has several characters).
    """

    kinds: npt.NDArray[np.uint8]
    lower: npt.NDArray[np.int32]


@lru_cache(maxsize=1)
def characters() -> Characters:
    """Return the tables; they are computed once a process, in about a fifth of a second."""
    kinds = np.zeros(N_CODE_POINTS, np.uint8)
    lower = np.arange(N_CODE_POINTS, dtype=np.int32)
    for code in range(LAST_LETTER):
        character = chr(code)
        if character.isalnum() or character == "_" or unicodedata.category(character)[0] == "M":
            kinds[code] = LETTER
            lowered = character.lower()
            if len(lowered) == 1:
                lower[code] = ord(lowered)
    kinds[0xE0100:0xE01F0] = LETTER  # variation selectors, marks that belong to the character before them
    for first, last in _ranges(UNSPACED):
        kinds[first : last + 1] = WORD
    return Characters(kinds, lower)


def _ranges(pattern: str) -> list[tuple[int, int]]:
    """Return the code points of a regular expression's character ranges `a-b`."""
    return [(ord(first), ord(last)) for first, last in re.findall("(.)-(.)", pattern, re.DOTALL)]
