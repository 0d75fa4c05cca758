"""What a character is to the statistics of a text, as one table of flags that a compiled loop can index."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from steps.kernels.characters import LAST_LETTER, N_CODE_POINTS, WORD, characters

SPACE = 1 << 0  #: `str.isspace`
ALPHA = 1 << 1  #: `str.isalpha`
LOWER = 1 << 2
UPPER = 1 << 3
DIGIT = 1 << 4  #: 0 to 9
SYMBOL = 1 << 5  #: punctuation and ASCII signs: a token of these alone is no word
AFFIX = 1 << 6  #: a token of its own at both ends of a run of characters
PREFIX = 1 << 7  #: a token of its own at the beginning of a run only
QUOTE = 1 << 8
DASH = 1 << 9  #: parts two words
CURRENCY = 1 << 10
ICON = 1 << 11  #: a token of its own anywhere, as pictographs are
SINGLE = 1 << 12  #: a character of a script without spaces: a token of its own anywhere
LINE_BREAK = 1 << 13  #: where `str.splitlines` parts lines
TERMINAL = 1 << 14  #: ends a sentence
BULLET = 1 << 15  #: what Gopher's rule takes for the mark of a list item
STOP = 1 << 16  #: the full stop
INFIX = 1 << 17  #: may part a run of characters in its middle

_AFFIXES = "…,:;!?¿؟¡()[]{}<>_#*&。？！，、；：～·।،۔؛٪—–"
_QUOTES = "'\"”“`‘´’‚„»«「」『』（）〔〕【】《》〈〉⟦⟧"
_PREFIXES = "§%="
_DASHES = "-–—~"
_LINE_BREAKS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
_BULLETS = "•-"
_INFIXES = ".,…+*^:<>=/" + _DASHES
#: Marks that end a sentence in the scripts that are written today.
_TERMINALS = ".!?。？！．｡‼‽⁇⁈⁉؟۔։।॥።፧᙮᠃᠉។៕၊။᭚᭛᭞᭟᰻᰼᱾᱿꓿꘎꘏꛳꛷꣎꣏꤯꧈꧉꩝꩞꩟꫰꫱꯫⸮﹒﹖﹗"

_OF_STRINGS = (
    (AFFIX, _AFFIXES + _QUOTES),
    (QUOTE, _QUOTES),
    (PREFIX, _PREFIXES),
    (DASH, _DASHES),
    (LINE_BREAK, _LINE_BREAKS),
    (TERMINAL, _TERMINALS),
    (BULLET, _BULLETS),
    (STOP, "."),
    (INFIX, _INFIXES),
)


@lru_cache(maxsize=1)
def character_flags() -> npt.NDArray[np.uint32]:
    """Return the flags of every code point, shape (0x110000,); computed once a process, in some tenths of a second."""
    flags = np.zeros(N_CODE_POINTS, np.uint32)
    for code in range(LAST_LETTER):
        flags[code] = _flags_of(chr(code))
    flags[characters().kinds == WORD] |= SINGLE | INFIX
    for flag, marks in _OF_STRINGS:
        flags[[ord(mark) for mark in marks]] |= flag
    return flags


def _flags_of(character: str) -> int:
    category = unicodedata.category(character)
    found = ALPHA * character.isalpha() | LOWER * character.islower() | UPPER * character.isupper()
    found |= SPACE * character.isspace() | DIGIT * (character in "0123456789")
    found |= SYMBOL * (category[0] == "P" or (category[0] == "S" and character.isascii()) or category == "Cc")
    return found | (CURRENCY | PREFIX) * (category == "Sc") | (ICON | AFFIX | INFIX) * (category == "So")
