from collections import Counter

import pytest

from steps.synthesis.diversity import diversity_of, embedding_spread, entropy, first_word
from steps.synthesis.synthesise import SpreadSettings, SynthesisSettings

ALIKE = [f"What is said about the size of cache {letter}?" for letter in "ABCDEFGH"]
APART = [
    "How long does rye dough rest?",
    "Name the capital of Peru.",
    "Sort a list of integers in Rust.",
    "Why does the moon have phases?",
    "Write a toast for a wedding.",
    "Translate this invoice into Dutch.",
    "Which muscles does rowing train?",
    "Summarise the plot of Faust.",
]


@pytest.mark.parametrize(
    ("instruction", "word"),
    [
        ("Please explain how it works.", "explain"),
        ("How is it done?", "how"),
        ("Could you please list them?", "list"),
        ("I need to sort rows.", "sort"),
        ("42?", ""),
    ],
)
def test_first_word_is_what_is_asked_for(instruction: str, word: str) -> None:
    assert first_word(instruction) == word


def test_entropy_is_highest_where_every_word_differs() -> None:
    assert entropy(Counter("abcd")) == pytest.approx(1.0)
    assert entropy(Counter("aaaa")) == 0.0
    assert 0 < entropy(Counter("aabb")) < 1


def test_instructions_of_one_kind_lie_nearer_to_one_another_than_those_of_many() -> None:
    alike, apart = (embedding_spread(asked, SpreadSettings(), 3) for asked in (ALIKE, APART))
    assert alike["mean_distance"] < 0.3 < 0.7 < apart["mean_distance"]
    assert alike["median_nearest_distance"] < apart["median_nearest_distance"]
    twice = embedding_spread([*APART, *APART], SpreadSettings(), 3)
    assert twice["median_nearest_distance"] == pytest.approx(0.0, abs=1e-6)
    assert embedding_spread([*ALIKE, *APART], SpreadSettings(max_rows=4), 3)["n_rows"] == 4


def test_spread_is_measured_only_where_it_is_asked_for() -> None:
    assert diversity_of(APART, SynthesisSettings())["embedding_spread"] is None
    assert diversity_of(APART, SynthesisSettings(spread=SpreadSettings()))["embedding_spread"]["n_rows"] == len(APART)
    assert diversity_of(APART[:1], SynthesisSettings(spread=SpreadSettings()))["embedding_spread"] is None
