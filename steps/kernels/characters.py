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
#: No character from this code point on is a letter (CJK extension H and what follows it end below).
LAST_LETTER = 0x33FFF

SEPARATOR, LETTER, WORD = 0, 1, 2


class Characters(NamedTuple):
    """Tables indexed by code point, shape (0x110000,).

    Attributes:
        kinds: uint8; `SEPARATOR` ends a word, `LETTER` belongs to one, `WORD` is a word of its own.
        lower: int32; the lower-case code point (the character itself where lower case has several characters). Both
            lower-case sigmas are one, as in `steps.filtering.words.normalise`.
    """

    kinds: npt.NDArray[np.uint8]
    lower: npt.NDArray[np.int32]


@lru_cache(maxsize=1)
def characters() -> Characters:
    """Return the tables; they are computed once a process, in about a tenth of a second."""
    kinds = np.zeros(N_CODE_POINTS, np.uint8)
    text = _letters()
    for run in re.finditer(r"\w+", text):
        kinds[run.start() : run.end()] = LETTER
    for code, character in enumerate(text):
        if unicodedata.category(character)[0] == "M":
            kinds[code] = LETTER
    kinds[0xE0100:0xE01F0] = LETTER  # variation selectors, marks that belong to the character before them
    for first, last in _ranges(UNSPACED):
        kinds[first : last + 1] = WORD
    lower = np.arange(N_CODE_POINTS, dtype=np.int32)
    lowered = text.replace("\u0130", " ").lower().replace("ς", "σ")
    lower[: len(text)] = np.frombuffer(lowered.encode("utf-32-le"), np.int32)
    lower[0x130] = 0x130
    lower[0xD800:0xE000] = np.arange(0xD800, 0xE000)
    return Characters(kinds, lower)


@lru_cache(maxsize=1)
def spaces() -> npt.NDArray[np.uint8]:
    r"""Return a table by code point: 1 for what `\s` matches in a regular expression."""
    table = np.zeros(N_CODE_POINTS, np.uint8)
    table[[match.start() for match in re.finditer(r"\s", _letters())]] = 1
    return table


@lru_cache(maxsize=1)
def settled() -> npt.NDArray[np.uint8]:
    """Return a table by code point: 1 where NFKC leaves the character as it is, whatever stands around it.

    Such a character is its own normal form, combines with nothing before it, and is never moved.
    """
    table = np.ones(N_CODE_POINTS, np.uint8)
    for code, character in enumerate(_letters()):
        if not character.isascii() and (
            unicodedata.combining(character) or not unicodedata.is_normalized("NFKC", character)
        ):
            table[code] = 0
        decomposed = unicodedata.decomposition(character)
        if decomposed and decomposed[0] != "<":
            table[[int(part, 16) for part in decomposed.split()[1:]]] = 0  # what may combine with its predecessor
    table[0x1161:0x1176] = table[0x11A8:0x11C3] = 0  # Hangul vowels and finals, which combine by rule
    table[LAST_LETTER:] = 0
    return table


@lru_cache(maxsize=1)
def _letters() -> str:
    """Return every code point that can be a letter, in order; a blank stands for each surrogate."""
    return "".join(" " if 0xD800 <= code < 0xE000 else chr(code) for code in range(LAST_LETTER))


def _ranges(pattern: str) -> list[tuple[int, int]]:
    """Return the code points of a regular expression's character ranges `a-b`."""
    return [(ord(first), ord(last)) for first, last in re.findall("(.)-(.)", pattern, re.DOTALL)]
