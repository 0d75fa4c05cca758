import pytest
from pydantic import ValidationError

from steps.errors import ConfigError
from steps.filtering.batch import Batch
from steps.filtering.engine import failures_of
from steps.filtering.length import LengthSettings, out_of_bounds


@pytest.fixture
def reasons(batch):
    """What the length rule says of rows: (place among the rows, reason)."""

    def find(rows, settings, count_tokens=None):
        found = failures_of(out_of_bounds(batch(rows, count_tokens), settings))
        return sorted((place, failure.reason.value) for place, failure in found.items())

    return find


def test_bounds_are_inclusive(row, reasons):
    settings = LengthSettings(min_answer_words=2, max_answer_words=3)
    rows = [row("a " * n, position=n) for n in range(1, 5)]
    assert reasons(rows, settings) == [(0, "too_few_answer_words"), (3, "too_many_answer_words")]


def test_zero_is_a_bound_and_none_is_none(row, reasons):
    assert reasons([row("…")], LengthSettings(min_answer_words=0)) == []
    assert reasons([row("…")], LengthSettings(min_answer_words=None)) == []
    assert reasons([row("…")], LengthSettings()) == [(0, "too_few_answer_words")]


def test_a_chinese_answer_has_as_many_words_as_characters(row, reasons):
    assert reasons([row("今天天气很好")], LengthSettings(min_answer_words=6)) == []


def test_characters_are_code_points_not_bytes(row, reasons):
    assert reasons([row("éé")], LengthSettings(max_answer_characters=2)) == []
    assert reasons([row("ééé")], LengthSettings(max_answer_characters=2)) == [(0, "too_many_answer_characters")]


@pytest.mark.parametrize(("unit", "low", "high"), [("characters", 5, 7), ("words", 3, 5)])
def test_a_conversation_is_bounded_by_the_sum_of_its_parts(row, reasons, unit, low, high):
    bounds = {f"min_conversation_{unit}": low, f"max_conversation_{unit}": high}
    rows = [row("a b", prompt="c " * n, position=n - 1) for n in range(1, 4)]  # 5, 7, 9 characters; 3, 4, 5 words
    rows.append(row("x", prompt="y", position=3))
    found = {"characters": [(2, "many"), (3, "few")], "words": [(3, "few")]}[unit]
    expected = [(place, f"too_{which}_conversation_{unit}") for place, which in found]
    assert reasons(rows, LengthSettings(**bounds)) == expected
    # The parts alone are within the bounds of the whole.
    one_less = {f"max_conversation_{unit}": high - 1}
    assert (2, f"too_many_conversation_{unit}") in reasons(rows, LengthSettings(**one_less))


def test_the_system_turn_counts_as_prompt_and_all_assistant_turns_as_answer(examples):
    table = examples(
        [("system", "one two"), ("user", "three"), ("assistant", "four"), ("user", "five"), ("assistant", "six")]
    )
    for settings, reason in (
        (LengthSettings(max_prompt_words=3), "too_many_prompt_words"),
        (LengthSettings(min_answer_words=3), "too_few_answer_words"),
    ):
        found = failures_of(out_of_bounds(Batch(table), settings))
        assert [failure.reason.value for failure in found.values()] == [reason]


def test_tokens_are_counted_only_for_rows_that_passed_the_cheaper_rules(row, reasons):
    counted = []

    def count(texts):
        counted.extend(texts)
        return [len(text) for text in texts]

    rows = [row("", position=0), row("fine", position=1), row("far too long", position=2)]
    settings = LengthSettings(max_answer_tokens=4)
    assert reasons(rows, settings, count) == [(0, "too_few_answer_words"), (2, "too_many_answer_tokens")]
    assert "" not in counted


def test_a_conversation_fails_by_the_sum_of_its_tokens(row, batch):
    settings = LengthSettings(max_conversation_tokens=5)
    rows = batch([row("abc", prompt="abc")], lambda texts: [len(text) for text in texts])
    failures = failures_of(out_of_bounds(rows, settings))
    assert [(f.reason.value, f.score, f.detail) for f in failures.values()] == [
        ("too_many_conversation_tokens", 6, "3 + 3 > 5")
    ]


def test_bounding_tokens_without_a_tokenizer_is_an_error(row, reasons):
    with pytest.raises(ConfigError, match="base model"):
        reasons([row("x")], LengthSettings(max_prompt_tokens=3))


def test_bounds_that_no_row_can_pass_are_refused():
    with pytest.raises(ValidationError, match="no row could pass"):
        LengthSettings(min_answer_words=9, max_answer_words=3)
