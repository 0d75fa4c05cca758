import pytest

from steps.errors import DropLimitError
from steps.ledger import reasons
from steps.preference.build import PreferenceSettings, build_preferences
from tests.preference.conftest import no_samples, pair, preferences, row, sft

LONG = "the main pump of the harbour crane lost pressure twice during the night watch and was taken out of service"
DATASET = sft(
    row("train1", "What is a keel?", "The long timber at the bottom of a ship."),
    row("test1", "What is a rudder?", "The blade that steers a ship.", "test"),
    row("test2", f"Summarise: {LONG}.", "The crane's pump failed.", "test"),
)


def build(*pairs, **settings):
    return build_preferences(preferences(*pairs), DATASET, no_samples, PreferenceSettings(**settings))


def test_good_pairs_pass_unchanged():
    good = preferences(pair("Why?", "Because of the wind.", "No idea."), pair("Who?", "The mate.", "The cook.", 1))
    result = build_preferences(good, DATASET, no_samples, PreferenceSettings())
    assert result.kept.equals(good)
    assert result.ledger["row_id"].to_pylist() == good["id"].to_pylist()


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (pair("Why?", "So.", "So."), "chosen_equals_rejected"),
        (pair("Why?", "It is  so", "it is SO\n"), "chosen_equals_rejected"),
        (pair(" ", "So.", "No."), "empty_prompt"),
        (pair("Why?", "", "No."), "empty_answer"),
        (pair("Why?", "So.", "  "), "empty_answer"),
        (pair("what is a  RUDDER?", "A blade.", "A rope."), "prompt_in_test"),
        (pair(f"Note the events: {LONG}.", "Noted.", "What?"), "overlaps_test"),
        (pair("Go on", f"Today {LONG}.", "What?"), "overlaps_test"),
        (pair("Go on", "What?", f"Today {LONG}."), "overlaps_test"),
    ],
)
def test_a_pair_that_cannot_be_trained_on_goes_with_its_reason(bad, reason):
    result = build(bad, pair("Why?", "Because of the wind.", "No idea.", 9))
    assert reasons(result.ledger) == {reason: 1}
    assert result.kept["row"].to_pylist() == [9]


def test_an_answer_by_the_user_is_no_answer():
    bad = pair("Why?", "So.", "No.")
    bad["rejected"] = [{"role": "user", "content": "No."}]
    assert reasons(build(bad, max_drop_fraction=1).ledger) == {"not_an_answer": 1}


def test_the_evidence_names_the_test_row():
    result = build(pair("What is a rudder?", "A", "B"), pair(f"Note: {LONG}", "A", "B", 1), max_drop_fraction=1)
    assert {row["reason"]: row["evidence_id"] for row in result.ledger.to_pylist()} == {
        "prompt_in_test": "test1",
        "overlaps_test": "test2",
    }


def test_prompts_of_the_training_split_may_be_used():
    assert build(pair("What is a keel?", "A timber.", "A sail.")).kept.num_rows == 1


def test_equal_pairs_leave_one_and_opposite_pairs_leave_none():
    first, again = pair("Why?", "Wind.", "Rain.", 0), pair("why?", "wind.", "rain.", 1)
    liked, disliked = pair("Who?", "Mate.", "Cook.", 2), pair("Who?", "Cook.", "Mate.", 3)
    result = build(first, again, liked, disliked)
    assert reasons(result.ledger) == {"contradicted": 2, "duplicate_pair": 1}
    survivor = min(first["id"], again["id"])
    assert result.kept["id"].to_pylist() == [survivor]
    evidence = {row["row_id"]: row["evidence_id"] for row in result.ledger.to_pylist()}
    assert evidence[max(first["id"], again["id"])] == survivor
    assert evidence[liked["id"]] == disliked["id"]


def test_the_order_of_the_rows_decides_nothing():
    pairs = [pair(f"Why {i % 3}?", f"Wind {i % 4}.", f"Rain {i % 2}.", i) for i in range(20)]
    forward, backward = build(*pairs, max_pairs=5), build(*reversed(pairs), max_pairs=5)
    assert set(forward.kept["id"].to_pylist()) == set(backward.kept["id"].to_pylist())


def test_pairs_beyond_the_limit_are_in_the_ledger():
    result = build(*(pair(f"Why {i}?", "Wind.", "Rain.", i) for i in range(10)), max_pairs=4)
    assert result.kept.num_rows == 4
    assert reasons(result.ledger) == {"over_max_pairs": 6}


def test_too_many_unusable_pairs_stop_the_run():
    with pytest.raises(DropLimitError, match="chosen_equals_rejected: 2"):
        build(*(pair(f"Why {i}?", "So.", "So.", i) for i in range(2)), max_drop_fraction=0.5)


def test_no_preference_source_gives_an_empty_table():
    result = build()
    assert (result.kept.num_rows, result.ledger.num_rows) == (0, 0)
