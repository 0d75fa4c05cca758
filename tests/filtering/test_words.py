import doctest

import pytest

from steps.filtering import words as module
from steps.filtering.words import normalise, words


def test_examples_in_the_documentation_hold():
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize(
    ("text", "count"),
    [("", 0), ("!!! … —", 0), ("one two", 2), ("東京に行く", 5), ("สวัสดี", 6), ("안녕하세요 여러분", 2), ("x=1", 2)],
)
def test_words_are_counted_in_scripts_with_and_without_spaces(text, count):
    assert len(words(text)) == count


def test_normalising_folds_width_case_and_all_white_space():
    assert normalise("\tＡ\u00a0B\r\n\nc ") == "a b c"
