import doctest

from pipelines import side_by_side
from pipelines.side_by_side import COLUMN, LINES, beside, difference
from pipelines.tracing import show


def test_examples_in_the_documentation_hold():
    assert doctest.testmod(side_by_side).failed == 0


def test_excerpts_begin_shortly_before_the_texts_part():
    shared = "the same words again and again " * 20
    left, right = difference(shared + "a cat " + "x" * 900, shared + "a dog")
    assert left.startswith("… ")
    assert "a cat" in left
    assert right.endswith("a dog")
    assert len(left) < COLUMN * LINES + 10


def test_a_text_and_its_own_beginning_are_shown_where_one_ends():
    left, right = difference("one two", "one two three")
    assert (left, right) == ("one two", "one two three")


def test_columns_are_of_equal_height_and_width():
    lines = beside(("short", "word " * 40))
    assert "this row" in lines[0]
    assert {line.index("│") for line in lines} == {4 + COLUMN + 1}
    assert "short" in lines[1]
    assert len(lines) > 3


def test_a_trace_shows_the_pair_with_its_score():
    decision = {
        "stage": "dedup_minhash",
        "decision": "dropped",
        "reason": "near_duplicate",
        "detail": None,
        "evidence_id": "kept-id",
        "score": 0.912,
        "pair": ("a red fox", "a grey fox"),
    }
    found = {
        "id": "gone-id",
        "model": "m",
        "version": "v1",
        "stage": "none",
        "row": None,
        "decisions": [decision],
        "derived_rows": [],
        "sft_dataset_split": None,
    }
    shown = show(found)
    assert "(0.912) → kept-id" in shown
    assert "a red fox" in shown
    assert "│ a grey fox" in shown
