import doctest

import pytest

from steps.dedup import groups, minhash, shingles


@pytest.mark.parametrize("module", [groups, minhash, shingles])
def test_examples_in_the_documentation_hold(module):
    assert doctest.testmod(module).failed == 0


def test_a_shingle_depends_on_the_order_of_its_words_and_on_nothing_around():
    ab, ba = shingles.shingles(["a", "b"], 2), shingles.shingles(["b", "a"], 2)
    assert not set(ab.tolist()) & set(ba.tolist())
    assert set(ab.tolist()) < set(shingles.shingles(["x", "a", "b", "y"], 2).tolist())


def test_short_texts_are_one_shingle_and_empty_texts_none():
    assert len(shingles.shingles(["a", "b"], 5)) == 1
    assert len(shingles.shingles([], 5)) == 0
    assert shingles.jaccard(shingles.shingles([], 5), shingles.shingles([], 5)) == 0


def test_a_short_text_is_not_the_prefix_of_a_long_one():
    short, long = shingles.shingles(["a", "b"], 5), shingles.shingles(["a", "b", "c", "d", "e"], 5)
    assert shingles.jaccard(short, long) == 0
