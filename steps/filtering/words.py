r"""Words of a text, also where a script writes none between spaces.

Chinese, Japanese, Thai, Lao, Khmer and Burmese run words together, so that `\w+` would take a whole sentence for one
word. There each character counts as a word. Korean puts spaces between words and needs no care.
"""

from __future__ import annotations

import re
import unicodedata

#: Scripts without spaces: Thai and Lao, Burmese, Khmer, kana, CJK ideographs with their extensions.
UNSPACED = (
    "\u0e01-\u0e4e\u0e81-\u0ecd\u1000-\u104f\u1780-\u17d3\u3041-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U000323af"
)
_WORD = re.compile(f"[{UNSPACED}]|[^\\W{UNSPACED}]+")
_SPACE = re.compile(r"\s+")


def words(text: str) -> list[str]:
    """Return the words of a text in order; a character of an unspaced script is a word.

    >>> words("Don't panic: 42 towels")
    ['Don', 't', 'panic', '42', 'towels']
    >>> words("日本語 text")
    ['日', '本', '語', 'text']
    """
    return _WORD.findall(text)


def normalise(text: str) -> str:
    r"""Return the text in NFKC, lower case, with every run of white space folded to one space.

    >>> normalise("  Ｆｕｌｌ\nWIDTH ")
    'full width'
    """
    if not unicodedata.is_normalized("NFKC", text):
        text = unicodedata.normalize("NFKC", text)
    return _SPACE.sub(" ", text.lower()).strip()
