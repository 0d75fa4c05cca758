"""The compiled loops against the plain definitions, on text that breaks tokenisers."""

from random import Random

import numpy as np
import pyarrow as pa
import pytest

from steps.dedup.candidates import Workers, sets_of
from steps.dedup.documents import Documents
from steps.dedup.shingles import jaccard, shingles
from steps.filtering.words import normalise, words

HOSTILE = [
    "",
    " \t\n",
    "…!?",
    "one",
    "Don't panic: 42 towels_and more-or-less",
    "日本語のテキスト and Latin 混ざった",
    "ภาษาไทยไม่มีช่องว่างระหว่างคำ ok",
    "हिन्दी में लिखा हुआ क्षेत्र वाक्य है",
    "e\u0301te\u0301 été ÉTÉ naı\u0308ve",
    "👩\u200d👩\u200d👧 family 👍🏽 👍\ufe0f",
    "ＦＵＬＬ width ﬁne ½ ² ™ Ⅷ",
    "ΟΔΥΣΣΕΥΣ και ΣΊΣΥΦΟΣ Σ",
    "İstanbul IĞDIR ıi Iİ",
    "a\u0315\u0300b \u1100\u1161\u11a8 각 한국어 단어",
    "Ⱥ Ⱦ ẞ ǅ ﷺ",
    "null\x00byte \x1e\x1c control \x85 next\u2028line \u3000wide",
    "\u200b\ufeffzero\u200bwidth \u202eright-to-left",
    "\U00020000\U0002a6df 𝕳𝖊𝖑𝖑𝖔 𐐀𐐨 deseret \U000e0101",
    "word" * 40 + " " + "é" * 100 + " x",
    "a" * 15 + " " + "b" * 16 + " " + "c" * 17 + " " + "d" * 33,
    "x" * 63 + " y " + "z" * 64 + " " + "w " * 70,
]


def random_texts(n=200, seed=9):
    random = Random(seed)
    planes = [(0x20, 0x7F), (0x80, 0x600), (0x900, 0x1100), (0x1E00, 0x2200), (0x3000, 0xD7FF), (0xE000, 0x10FFFF)]
    return [
        "".join(chr(random.randint(*random.choice(planes))) + " " * (random.random() < 0.3) for _ in range(60))
        for _ in range(n)
    ]


def sets(texts, n):
    """The shingle set of each text as the kernel makes it."""
    documents = Documents(pa.chunked_array([texts[: len(texts) // 2], texts[len(texts) // 2 :]], pa.string()))
    wanted = np.ones(len(texts), bool)
    places, sizes, flat = sets_of(documents.segments("answer"), None, wanted, n, Workers(1))
    return [set(flat[place : place + size].tolist()) for place, size in zip(places, sizes, strict=True)]


def ngrams(text, n):
    tokens = words(normalise(text))
    width = min(n, len(tokens))
    return {tuple(tokens[i : i + width]) for i in range(len(tokens) - width + 1)} if tokens else set()


@pytest.mark.parametrize("n", [1, 5])
def test_the_kernel_sees_the_words_that_the_regular_expression_sees(n):
    texts = HOSTILE + random_texts()
    # Plain words with blanks between them are what the text comes down to: both must make the same shingles.
    plain = [" ".join(words(normalise(text))) for text in texts]
    for text, own, expected in zip(texts, sets(texts, n), sets(plain, n), strict=True):
        assert own == expected, ascii(text)
        assert len(own) == len(ngrams(text, n)), ascii(text)


def test_similarities_are_those_of_the_sets_of_words():
    random = Random(2)
    texts = [" ".join(random.choice("abcdefgh") for _ in range(random.randrange(30))) for _ in range(40)]
    compiled = sets(texts, 2)
    for i, left in enumerate(texts):
        for j, right in enumerate(texts):
            union = len(compiled[i] | compiled[j])
            ours = len(compiled[i] & compiled[j]) / union if union else 0.0
            assert ours == jaccard(shingles(words(left), 2), shingles(words(right), 2))


def test_a_shingle_depends_on_the_order_of_its_words_and_on_nothing_around():
    ab, ba, inside = sets(["a b", "b a", "x a b y"], 2)
    assert not ab & ba
    assert ab < inside


def test_a_short_text_is_not_the_prefix_of_a_long_one():
    short, long = sets(["a b", "a b c d e"], 5)
    assert len(short) == 1
    assert not short & long
