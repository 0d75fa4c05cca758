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


def half(prompt, answer, label, row):
    """Return an answer that was only called good or bad."""
    whole = pair(prompt, answer, answer, row)
    return whole | {"rejected" if label else "chosen": []}


def test_answers_called_good_and_bad_of_one_prompt_become_a_pair():
    good, bad, other = half("Why?", "Wind.", True, 0), half("why? ", "Rain.", False, 1), half("Who?", "Mate.", True, 2)
    result = build(good, bad, other)
    (found,) = result.kept.to_pylist()
    assert (found["id"], found["chosen"], found["rejected"]) == (good["id"], good["chosen"], bad["rejected"])
    entries = {row["row_id"]: row for row in result.ledger.to_pylist()}
    assert (entries[bad["id"]]["reason"], entries[bad["id"]]["evidence_id"]) == ("used_as_rejected", good["id"])
    assert entries[other["id"]]["reason"] == "unpaired"
    assert result.report["origins"]["labelled"]["n_used"] == 1


def test_each_labelled_answer_is_used_once_whatever_the_order():
    halves = [half("Why?", f"Good {i}.", True, i) for i in range(3)]
    halves += [half("Why?", f"Bad {i}.", False, 10 + i) for i in range(5)]
    forward, backward = build(*halves), build(*reversed(halves))
    assert forward.kept.num_rows == 3
    assert len({str(row["rejected"]) for row in forward.kept.to_pylist()}) == 3
    assert set(forward.kept["id"].to_pylist()) == set(backward.kept["id"].to_pylist())
    assert reasons(forward.ledger) == {"used_as_rejected": 3, "unpaired": 2}


def test_a_labelled_answer_without_text_is_no_half():
    assert reasons(build(half("Why?", "", True, 0), half("Why?", "Rain.", False, 1), max_drop_fraction=1).ledger) == {
        "used_as_rejected": 1,
        "empty_answer": 1,
    }


def test_imported_pairs_below_the_margin_go_and_those_without_scores_stay():
    scored = [pair("Why?", "Wind.", "Rain.", i) | {"chosen_score": 3.0, "rejected_score": 3.0 - i} for i in (1, 2)]
    scored[1]["chosen"][0]["content"] = "Storm."
    result = build(*scored, pair("Who?", "Mate.", "Cook.", 9), imported_min_margin=2)
    assert result.kept["row"].to_pylist() == [2, 9]
    (dropped,) = [row for row in result.ledger.to_pylist() if row["decision"] == "dropped"]
    assert (dropped["reason"], dropped["score"]) == ("below_min_margin", 1.0)


LONG_ANSWER = " ".join(f"word{i}" for i in range(60))


@pytest.mark.parametrize(
    ("rejected", "measure"),
    [
        (LONG_ANSWER.replace("word59", "word99"), "3-word shingles"),
        (LONG_ANSWER.replace("word20", "x").replace("word40", "y"), "edit ratio"),
    ],
)
def test_nearly_equal_answers_go_with_the_measure(rejected, measure):
    result = build(pair("Why?", LONG_ANSWER, rejected), pair("Who?", "Mate.", "Cook.", 1))
    (dropped,) = [row for row in result.ledger.to_pylist() if row["decision"] == "dropped"]
    assert dropped["reason"] == "near_duplicate_answers"
    assert dropped["detail"].startswith(measure)
    assert 0.9 < dropped["score"] < 1
    assert result.report["near_duplicates"]["n"] == 1
    assert build(pair("Why?", LONG_ANSWER, rejected), near_duplicates=None).kept.num_rows == 1


def test_nearly_equal_answers_that_a_check_told_apart_stay_unless_asked_otherwise():
    checked = pair("Why?", LONG_ANSWER, LONG_ANSWER.replace("word59", "word99")) | {"ranker": "check:exact_match"}
    assert build(checked).kept.num_rows == 1
    strict = build(checked, near_duplicates={"spare_checked": False}, max_drop_fraction=1)
    assert reasons(strict.ledger) == {"near_duplicate_answers": 1}


def test_a_reworded_short_prompt_of_the_test_split_is_found():
    dataset = sft(row("t", "How do I replace the seal of the starboard winch?", "Unscrew it.", "test"))
    near = pair("how do I replace a seal of the starboard winch", "Pull.", "Push.")
    far = pair("How do I replace the rope of the port crane?", "Pull.", "Push.", 1)
    result = build_preferences(
        preferences(near, far), dataset, no_samples, PreferenceSettings(max_prompt_similarity=0.6)
    )
    (dropped,) = [entry for entry in result.ledger.to_pylist() if entry["decision"] == "dropped"]
    assert (dropped["row_id"], dropped["reason"]) == (near["id"], "near_duplicate_of_test")
    assert dropped["evidence_id"] == "t"
    assert result.report["test_overlap"]["n"] == 1


def test_no_preference_source_gives_an_empty_table():
    result = build()
    assert (result.kept.num_rows, result.ledger.num_rows) == (0, 0)
