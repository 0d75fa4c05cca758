from random import Random

import numpy as np
import pyarrow as pa
import pytest

from steps.filtering.words import normalise, words
from steps.kernels.buffers import texts_of
from steps.kernels.hashing import hash_strings
from steps.kernels.ngrams import Words, words_of

TEXTS = [
    "Don't panic: 42 towels",
    "",
    "日本語 text, ひらがな",
    "ÄRGER über Straße ﬁn",
    "a",
    "a b a b a",
    "don t PANIC 42 towels",
]


def hashed(texts):
    return Words.of(texts_of(pa.array(texts)))


def test_words_are_those_of_the_regular_expression_and_equal_words_have_equal_hashes():
    found = hashed(TEXTS)
    expected = [words(text.lower()) for text in TEXTS]
    assert found.counts.tolist() == [len(each) for each in expected]
    flat = [word for each in expected for word in each]
    pairs = set(zip(flat, found.hashes.tolist(), strict=True))
    assert len(pairs) == len({word for word, _ in pairs}) == len({code for _, code in pairs})


def test_the_words_of_a_text_can_be_read():
    assert words_of("Don't  PANIC: ÄRGER, 日本!".encode()) == ["don", "t", "panic", "ärger", "日", "本"]
    assert words_of(b"") == []


@pytest.mark.parametrize("n", [1, 3, 8])
def test_equal_ngrams_and_only_they_have_equal_hashes(n):
    random = Random(1)
    texts = [" ".join(random.choices("abc", k=random.randrange(12))) for _ in range(300)]
    grams, starts = hashed(texts).ngrams(n)
    code_of = {}
    for number, text in enumerate(texts):
        tokens = words(normalise(text))
        own = [" ".join(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]
        codes = grams[starts[number] : starts[number + 1]].tolist()
        assert len(own) == len(codes)
        for gram, code in zip(own, codes, strict=True):
            assert code_of.setdefault(gram, code) == code
    assert len(set(code_of.values())) == len(code_of)


def test_whole_texts_are_equal_when_their_words_are():
    wholes = hashed(TEXTS).wholes()
    assert wholes[0] == wholes[-1]
    assert len(set(wholes.tolist())) == len(TEXTS) - 1


def test_strings_are_hashed_as_the_reference_library_hashes_them():
    import xxhash

    texts = ["", "a", "é", "x" * 3, "x" * 4, "x" * 8, "y" * 31, "z" * 32, "abc" * 40, None]
    for seed in (0, 7, 2**64 - 1):
        expected = [xxhash.xxh64_intdigest((text or "").encode(), seed) for text in texts]
        assert hash_strings(pa.chunked_array([texts[:3], texts[3:]]), seed).tolist() == expected
    assert hash_strings(pa.chunked_array([], pa.string()), 0).dtype == np.uint64
