"""The sample for people: its strata, its order, and what it must not show."""

from collections import Counter
from itertools import pairwise

import pyarrow as pa

from steps.judging.sample import Candidate, SampleSettings, answers_of, pairs_of, ranks_of, sample_of
from steps.rows import EXAMPLES, PREFERENCES, table
from tests.judging.conftest import example


def candidates(n, source="notes", kind="summary"):
    return [Candidate(f"{source}{i:04}", source, kind, f"Q{i}", (f"A{i}",), i / n) for i in range(n)]


def pairs(n):
    return [Candidate(f"p{i:04}", "chat", "human", f"Q{i}", (f"first {i}", f"second {i}"), None) for i in range(n)]


def test_every_stratum_has_its_share_of_the_sample():
    everyone = candidates(160) + candidates(40, source="chat", kind="imported")
    rows = sample_of(everyone, SampleSettings(n=50, score_bands=4))
    ranks = {one.item_id: one.rank for one in everyone}
    counts = Counter((row["source"], min(int(ranks[row["item_id"]] * 4), 3)) for row in rows)
    notes = {("notes", band): 10 for band in range(4)}
    assert counts == {**notes, ("chat", 0): 3, ("chat", 1): 3, ("chat", 2): 2, ("chat", 3): 2}
    assert len({row["task_id"] for row in rows}) == 50


def test_the_choice_depends_on_the_seed_alone_and_not_on_the_order_of_the_rows():
    everyone = candidates(100)
    assert sample_of(everyone, SampleSettings(n=20)) == sample_of(everyone[::-1], SampleSettings(n=20))
    assert sample_of(everyone, SampleSettings(n=20)) != sample_of(everyone, SampleSettings(n=20, seed=8))


def test_the_order_of_the_sample_does_not_follow_the_scores():
    rows = sample_of(candidates(200), SampleSettings(n=100))
    bands = [int(row["item_id"][-4:]) // 50 for row in rows]
    assert sum(a <= b for a, b in pairwise(bands)) < 85  # sorted would be 99


def test_no_score_stands_in_the_file():
    (row,) = sample_of([Candidate("x", "s", "k", "Q", ("A",), 0.123456)], SampleSettings(n=1))
    assert not any("0.123" in value for value in row.values())
    assert row["label"] == row["annotator"] == row["comment"] == ""


def test_a_sample_larger_than_the_data_is_all_of_it():
    assert len(sample_of(candidates(7), SampleSettings(n=100))) == 7


def test_each_display_order_stands_in_half_of_the_pairs():
    rows = sample_of(pairs(60), SampleSettings(n=40))
    assert Counter(row["order"] for row in rows) == {"ab": 20, "ba": 20}
    for row in rows:
        first, second = (row["answer_a"], row["answer_b"])[:: 1 if row["order"] == "ab" else -1]
        assert (first[:5], second[:6]) == ("first", "second")


def test_pairs_in_both_orders_are_asked_half_a_list_apart():
    rows = sample_of(pairs(30), SampleSettings(n=20, both_orders=True))
    assert len(rows) == len({row["task_id"] for row in rows}) == 40
    places = {}
    for place, row in enumerate(rows):
        places.setdefault(row["item_id"], []).append((place, row["order"]))
    for (a, order_a), (b, order_b) in places.values():
        assert b - a == 20
        assert {order_a, order_b} == {"ab", "ba"}


def test_criteria_become_columns():
    (row,) = sample_of(candidates(1), SampleSettings(n=1, scale="1-5", criteria=("accuracy",)))
    assert row["label.accuracy"] == ""
    assert row["scale"] == "1-5"


def test_ranks_put_judges_of_different_scales_together():
    ranks = ranks_of({"one": {"x": 1, "y": 5}, "two": {"x": 0.1, "y": 0.9, "z": 0.5}})
    assert ranks["y"] == 1.0
    assert ranks["x"] == (1 / 2 + 1 / 3) / 2
    assert ranks["z"] == 2 / 3


def test_rows_without_an_answer_are_not_asked_about():
    unanswered = example("Q", "A")
    unanswered |= {"id": "u", "messages": unanswered["messages"][:1]}
    found = answers_of(table([example("Q", "A"), unanswered], EXAMPLES), {})
    assert [(one.prompt, one.answers) for one in found] == [("Q", ("A",))]


def test_pairs_come_from_preferences_with_the_chosen_answer_first():
    def said(text):
        return [{"role": "assistant", "content": text}]

    row = {"id": "p", "prompt": [{"role": "user", "content": "Q"}], "chosen": said("good"), "rejected": said("bad")}
    preferences = table([{**row, "ranker": "human", "source": "reviews", "path": "r.jsonl"}], PREFERENCES)
    assert isinstance(preferences, pa.Table)
    assert pairs_of(preferences) == [Candidate("p", "reviews", "human", "Q", ("good", "bad"), None)]
