import unicodedata

import pyarrow as pa
import pytest

from steps.dedup.documents import Documents
from steps.dedup.exact import ExactSettings, exact_duplicates
from steps.filtering.words import normalise
from steps.kernels.characters import LAST_LETTER, characters, settled, spaces
from tests.kernels.test_shingles import HOSTILE, random_texts


def test_texts_are_equal_exactly_when_their_normal_forms_are():
    texts = HOSTILE + random_texts(100)
    variants = [variant for text in texts for variant in (text, f"  {text.swapcase()}\n", text + "!")]
    documents = Documents(pa.chunked_array([variants]))
    found = {match.row: match.other for match in exact_duplicates(documents, ExactSettings(key="answer")).duplicates}
    first: dict[str, int] = {}
    expected = {}
    for row, text in enumerate(variants):
        form = normalise(text)
        if form and first.setdefault(form, row) != row:
            expected[row] = first[form]
    assert found == expected


def test_characters_that_are_called_settled_never_change_in_nfkc():
    table = settled()
    calm = "".join(chr(code) for code in range(0x80, LAST_LETTER) if table[code])
    assert len(calm) > 100_000
    assert unicodedata.is_normalized("NFKC", calm)
    assert unicodedata.is_normalized("NFKC", calm[::-1])


@pytest.mark.parametrize("code", [0x301, 0xBD, 0x2026, 0x1161, 0x11A8, 0xFB01, 0x212B])
def test_characters_that_nfkc_changes_or_joins_are_not_settled(code):
    assert not settled()[code]


def test_a_change_of_case_makes_no_letter_of_what_is_none():
    kinds, lower = characters()
    assert (kinds == kinds[lower]).all()


def test_white_space_is_what_the_regular_expression_calls_so():
    table = spaces()
    assert all(bool(table[code]) == chr(code).isspace() for code in range(0xD800))
