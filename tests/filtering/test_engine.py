import numpy as np
import pyarrow as pa
import pytest

from steps.filtering.batch import Batch, Measure, Outcome
from steps.filtering.engine import ActiveRule, failures_of, filter_rows
from steps.filtering.row import Failure, FilterReason
from steps.filtering.rules import FilteringSettings, apply_filters, filter_batch
from steps.rows import EXAMPLES, LEDGER

ANSWERS = [
    "fine",
    "I cannot help with that.",
    "```\nopen",
    "loop again " * 40,
    "",
    "short",
    "As an AI language model, I",
]


@pytest.fixture
def table(examples):
    return examples(*([("user", f"Question {n}?"), ("assistant", answer)] for n, answer in enumerate(ANSWERS * 5)))


def masked(batch: Batch, word: str) -> Outcome:
    """A rule that blots a word out and says so."""
    texts = batch.contents.to_pylist()
    remarks = [
        Failure(int(row), FilterReason.KEYWORD, 1.0, f"{word} blotted out")
        for row, text in zip(batch.turn_rows, texts, strict=True)
        if word in text
    ]
    contents = pa.array([text.replace(word, "█") for text in texts], pa.large_string())
    return Outcome(remarks=remarks, contents=contents)


def refuses(batch: Batch, word: str) -> Outcome:
    rows = [int(row) for row, text in zip(batch.turn_rows, batch.contents.to_pylist(), strict=True) if word in text]
    return Outcome([Failure(row, FilterReason.REFUSAL) for row in rows])


@pytest.mark.parametrize("size", [1, 3, 8, 100])
def test_any_batch_size_gives_the_same_rows_and_the_same_ledger(table, size):
    settings = FilteringSettings(max_drop_fraction=1)
    whole = apply_filters(table, settings)
    parts = [filter_batch(table.slice(start, size), settings) for start in range(0, table.num_rows, size)]
    assert pa.concat_tables([part.kept for part in parts]).combine_chunks() == whole.kept
    assert pa.concat_tables([part.ledger for part in parts]).combine_chunks() == whole.ledger
    assert whole.ledger["row_id"].to_pylist() == table["id"].to_pylist()
    assert 0 < whole.kept.num_rows < table.num_rows


def test_a_rule_may_rewrite_texts_and_keep_the_row_with_a_remark(examples):
    rows = examples([("user", "Call Ann."), ("assistant", "Ann is out.")], [("user", "Hi"), ("assistant", "Ho")])
    result = filter_rows("filter", rows, [ActiveRule("mask", masked, "Ann"), ActiveRule("no", refuses, "Ann")])
    assert result.kept.schema == EXAMPLES
    assert result.ledger.schema == LEDGER
    assert result.kept["id"].to_pylist() == rows["id"].to_pylist()
    said = [[message["content"] for message in row] for row in result.kept["messages"].to_pylist()]
    assert said == [["Call █.", "█ is out."], ["Hi", "Ho"]]
    first, second = result.ledger.to_pylist()
    assert (first["decision"], first["reason"], first["score"]) == ("kept", "excluded_keyword", 1.0)
    assert first["detail"] == "Ann blotted out; excluded_keyword: Ann blotted out"
    assert (second["decision"], second["reason"], second["detail"]) == ("kept", None, None)


def test_a_dropped_row_carries_its_failure_and_no_remark(examples):
    rows = examples([("user", "Ann"), ("assistant", "Bob")])
    result = filter_rows("filter", rows, [ActiveRule("mask", masked, "Ann"), ActiveRule("no", refuses, "Bob")])
    assert [(row["decision"], row["reason"]) for row in result.ledger.to_pylist()] == [("dropped", "refusal")]
    assert result.kept.num_rows == 0


def test_later_rules_are_spared_the_rows_that_are_lost(examples):
    seen = []

    def counts(batch: Batch, _) -> Outcome:
        seen.append(batch.answers.to_pylist())
        return Outcome()

    rows = examples(*([("user", "q"), ("assistant", answer)] for answer in ("bad", "good", "bad", "best")))
    filter_rows("filter", rows, [ActiveRule("no", refuses, "bad"), ActiveRule("count", counts, None)])
    assert seen == [["good", "best"]]


def test_statistics_follow_the_rows_that_are_left(examples):
    rows = examples(*([("user", "q"), ("assistant", "word " * n)] for n in (1, 2, 3)))
    batch = Batch(rows)
    before = batch.answer_stats()
    smaller = batch.subset(np.array([True, False, True]))
    assert smaller.answer_stats().column("TOKENS").tolist() == [1.0, 3.0]
    assert smaller.answer_stats().largest(smaller.answer_stats().column("TOKENS")).tolist() == [1.0, 3.0]
    assert before.column("TOKENS").tolist() == [1.0, 2.0, 3.0]


def test_what_a_rule_says_goes_before_its_measure_and_nan_passes():
    measure = Measure(np.array([0.5, np.nan, 9.0, 3.0]), 1, FilterReason.EMPTY_TURN, 5, FilterReason.KEYWORD)
    found = failures_of(Outcome([Failure(2, FilterReason.KEYWORD, 9.0, "said")], measures=[measure]))
    assert {row: (failure.reason.value, failure.detail) for row, failure in found.items()} == {
        2: ("excluded_keyword", "said"),
        0: ("empty_turn", "0.5 < 1"),
    }


def test_a_table_whose_turns_are_all_gone_is_no_trouble(examples):
    result = filter_rows("filter", examples([], []), [ActiveRule("no", refuses, "x")])
    assert result.kept.num_rows == 2
