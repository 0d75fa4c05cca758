import pyarrow as pa
import pytest

from steps.dedup.clusters import DedupSettings, deduplicate
from steps.dedup.exact import ExactSettings


def settings(key="conversation", keep="longest"):
    return DedupSettings(exact=ExactSettings(key=key), keep=keep)


def test_texts_that_differ_in_case_width_and_white_space_are_one(examples, kept):
    table = examples([("What is it?", "A cat."), ("what  is\nIT?", "Ａ cat. "), ("What is it?", "A dog.")])
    result = deduplicate("exact", table, settings())
    assert len(kept(result)) == 2
    assert 2 in kept(result)


def test_the_ledger_names_the_survivor(examples):
    table = examples([("a", "b"), ("a", "b ")])
    (dropped,) = [row for row in deduplicate("exact", table, settings()).ledger.to_pylist() if row["reason"]]
    assert dropped["reason"] == "exact_duplicate"
    assert (dropped["evidence_id"], dropped["row_id"]) == (table["id"][1].as_py(), table["id"][0].as_py())
    assert dropped["score"] == 1.0


@pytest.mark.parametrize(("key", "survivors"), [("conversation", 3), ("instruction", 2), ("answer", 2)])
def test_the_key_says_what_must_be_equal(examples, kept, key, survivors):
    table = examples([("q1", "a1"), ("q1", "a2"), ("q2", "a1")])
    assert len(kept(deduplicate("exact", table, settings(key)))) == survivors


def test_words_do_not_move_between_prompt_and_answer(examples, kept):
    assert len(kept(deduplicate("exact", examples([("a b", "c"), ("a", "b c")]), settings()))) == 2


def test_rows_with_another_system_turn_are_not_equal(examples, kept):
    table = pa.concat_tables([examples([("a", "b")], system="Be brief."), examples([("a", "b")], system="Be verbose.")])
    assert len(kept(deduplicate("exact", table, settings()))) == 2


def test_rows_whose_key_is_empty_match_nothing(examples, kept):
    assert len(kept(deduplicate("exact", examples([("a", ""), ("b", " ")]), settings("answer")))) == 2
