import re
import unicodedata

import numpy as np
import pyarrow as pa

from steps.filtering.words import UNSPACED
from steps.kernels.buffers import texts_of
from steps.kernels.characters import LETTER, SEPARATOR, WORD, characters


def test_every_code_point_is_classed_as_the_regular_expressions_of_words_class_it():
    kinds = characters().kinds
    unspaced, word = re.compile(f"[{UNSPACED}]"), re.compile(r"\w")
    for code in (code for code in range(0x110000) if not 0xD800 <= code <= 0xDFFF):
        character = chr(code)
        if unspaced.match(character):
            expected = WORD
        elif word.match(character) or unicodedata.category(character)[0] == "M":
            expected = LETTER
        else:
            expected = SEPARATOR
        assert kinds[code] == expected, hex(code)


def test_lower_case_of_a_letter_is_pythons_where_that_is_one_character():
    lower = characters().lower
    assert [chr(lower[ord(character)]) for character in "ÄßΣДA5"] == ["ä", "ß", "σ", "д", "a", "5"]


def test_buffers_of_a_slice_of_chunks_hold_that_slice_only():
    column = pa.chunked_array([["zero", "één"], [None, "three"]]).slice(1, 3)
    texts = texts_of(column)
    pieces = [bytes(texts.data[a:b]).decode() for a, b in zip(texts.offsets, texts.offsets[1:], strict=False)]
    assert pieces == ["één", "", "three"]
    assert texts.offsets.dtype == np.int64


def test_a_column_without_rows_has_no_text():
    assert texts_of(pa.chunked_array([], pa.string())).n == 0
