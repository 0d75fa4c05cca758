r"""Words of a text, also where a script writes none between spaces.

Chinese, Japanese, Thai, Lao, Khmer and Burmese run words together, so that `\w+` would take a whole sentence for one
word. There each character counts as a word. Korean puts spaces between words and needs no care.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

#: Scripts without spaces: Thai and Lao, Burmese, Khmer, kana, CJK ideographs with their extensions.
UNSPACED = (
    "\u0e01-\u0e4e\u0e81-\u0ecd\u1000-\u104f\u1780-\u17d3\u3041-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U000323af"
)
_SPACE = re.compile(r"\s+")
_ASCII_WORD = re.compile(r"\w+", re.ASCII)
#: No character from this code point on is a letter or a mark, but for the variation selectors.
_LAST_LETTER, _VARIATION_SELECTORS = 0x33FFF, "\U000e0100-\U000e01ef"


def words(text: str) -> list[str]:
    """Return the words of a text in order; a character of an unspaced script is a word.

    Combining marks belong to the word: without its vowel signs, a Hindi word would fall to pieces.

    >>> words("Don't panic: 42 towels")
    ['Don', 't', 'panic', '42', 'towels']
    >>> words("日本語 text")
    ['日', '本', '語', 'text']
    >>> words("हिन्दी में")
    ['हिन्दी', 'में']
    """
    return (_ASCII_WORD if text.isascii() else _pattern()).findall(text)


@lru_cache(maxsize=1)
def _pattern() -> re.Pattern[str]:
    """Return the expression of a word, computed in about a tenth of a second.

    Characters are listed rather than described: Python's engine looks a listed one up in a bitmap, while a look-ahead
    at every character was measured to be eight times slower. The bitmap ends at U+FFFF.
    """
    unspaced = re.compile(f"[{UNSPACED}]")
    listed = "".join(
        character if _belongs_to_word(character) and not unspaced.match(character) else " "
        for character in map(chr, range(_LAST_LETTER))
    )
    runs = [(run.start(), run.end() - 1) for run in re.finditer(r"[^ ]+", listed)]
    low = "".join(f"{chr(first)}-{chr(last)}" for first, last in runs if first <= 0xFFFF)
    high = "".join(f"{chr(first)}-{chr(last)}" for first, last in runs if first > 0xFFFF) + _VARIATION_SELECTORS
    return re.compile(f"[{UNSPACED}]|(?:[{low}]+|(?=[\U00010000-\U0010ffff])[{high}]+)+")


def _belongs_to_word(character: str) -> bool:
    return character.isalnum() or character == "_" or unicodedata.category(character)[0] == "M"


def normalise(text: str) -> str:
    r"""Return the text in NFKC, lower case, with every run of white space folded to one space.

    A sigma is the same letter at the end of a word, so that lower case does not depend on what follows.

    >>> normalise("  Ｆｕｌｌ\nWIDTH ")
    'full width'
    """
    if not unicodedata.is_normalized("NFKC", text):
        text = unicodedata.normalize("NFKC", text)
    return _SPACE.sub(" ", text.lower().replace("ς", "σ")).strip()
