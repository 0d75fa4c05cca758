import doctest

import pytest

import steps.evaluation.metrics
from steps.evaluation.metrics import METRICS, applies, final_number, score

TLDR = "## TL;DR\n- 3 pumps failed\n- the site is Oslo"


def test_documented_examples_hold():
    result = doctest.testmod(steps.evaluation.metrics)
    assert result.attempted
    assert not result.failed


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_gives_a_reference_that_it_applies_to_full_marks(name):
    references = ["plain text", "#### 5", TLDR, '{"a": 1}', "x = 1\nprint(x)", "```python\nx = 1\n```"]
    fitting = [reference for reference in references if applies(name, reference)]
    assert fitting
    assert [score(name, reference, reference) for reference in fitting] == [1.0] * len(fitting)


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_stays_between_0_and_1_on_hostile_answers(name):
    answers = [
        "",
        "\n",
        "\0",
        "####",
        "- ",
        "```",
        "```json\n",
        "[" * 5000,
        "9" * 5000,
        "\ud800",
        "(" * 300,
        "- x\n" * 999,
    ]
    assert all(0 <= score(name, answer, TLDR + "\n#### 5") <= 1 for answer in answers)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("6 x 180 = 1,080\n#### 1,080", "1080"),
        ("#### 18\nSo the answer, given 20 eggs, is 18.", "18"),
        ("he pays $3.50.", "3.50"),
        ("10-5=5", "5"),
        ("5 - 8 = -3", "-3"),
        ("5 − 8 = −3", "-3"),
        ("about 1,080.25 dollars", "1080.25"),
        ("12, 34", "34"),
        ("#### no idea, maybe 7", "7"),
        ("2/4 = .5", "0.5"),
    ],
)
def test_final_number_reads_what_a_person_would(text, number):
    assert str(final_number(text)) == number


def test_numbers_match_by_value_not_by_spelling():
    assert score("numeric_match", "#### 1080.00", "#### 1,080") == 1
    assert score("numeric_match", "it is 108", "#### 1,080") == 0
    assert score("numeric_match", "no number here", "#### 0") == 0


@pytest.mark.parametrize(
    "answer",
    [
        "Sure! Here is it:\n## TL;DR\n- a",
        "## TL;DR\n- a\nLet me know!",
        "## TL;DR\n\n- a",
        "## TL;DR",
        "## TL;DR\n-a",
        "## TL;DR\n- ",
        "## TL;DR:\n- a",
        "# TL;DR\n- a",
        "",
    ],
)
def test_strict_format_refuses_anything_around_the_bullets(answer):
    assert score("tldr_format", answer, TLDR) == 0


def test_facts_count_whatever_stands_around_them():
    chatty = "Sure!\n\n" + TLDR + "\n\nLet me know if you need more."
    assert score("tldr_facts", chatty, TLDR) == 1
    assert score("tldr_format", chatty, TLDR) == 0
    assert score("tldr_exact", chatty, TLDR) == 0


def test_missing_invented_and_repeated_facts_each_cost():
    missing = score("tldr_facts", "- 3 pumps failed", TLDR)
    invented = score("tldr_facts", TLDR + "\n- the sky fell", TLDR)
    repeated = score("tldr_facts", TLDR + "\n- 3 pumps failed", TLDR)
    wrong = score("tldr_facts", TLDR.replace("3", "4"), TLDR)
    assert (missing, invented, repeated, wrong) == pytest.approx((2 / 3, 0.8, 0.8, 0.5))


def test_a_reference_without_bullets_says_nothing_about_summaries():
    assert not applies("tldr_exact", "Just a sentence.")
    assert not applies("numeric_match", "ten")
    assert not applies("json_valid", "prose")
    assert not applies("exact_match", "  ")


def test_code_must_parse_and_be_more_than_a_word():
    assert score("python_valid", "Here:\n```python\ndef f():\n    return 1\n```", "") == 1
    assert score("python_valid", "```python\ndef f(:\n```", "") == 0
    assert score("python_valid", "Blue", "") == 0
    assert score("json_valid", '```json\n{"a": 1,}\n```', "") == 0
    assert score("json_valid", '{"a": [1, 2]}', "") == 1
    assert score("markdown_fences", "```\nopen", "") == 0


def test_character_f_score_orders_answers_by_closeness():
    near, far = score("chrf", "3 pump failed", "3 pumps failed"), score("chrf", "the sky", "3 pumps failed")
    assert 1 > near > far >= 0


def test_an_unknown_metric_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match=r"'tldr'; known: exact_match"):
        score("tldr", "a", "b")


def test_a_boxed_number_is_the_answer_and_the_last_mark_counts():
    assert final_number(r"6 x 7 = \boxed{42}, which is 2 x 21") == 42
    assert final_number("#### 5\nno, \\boxed{6}") == 6
    assert final_number("\\boxed{6}\n#### 5") == 5
    assert score("numeric_match", r"so \boxed{1,080}. I am 99 % sure", "#### 1080") == 1.0
