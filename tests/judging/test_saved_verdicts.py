"""Verdicts out of a run's table or a file of saved outputs."""

import json

import pytest

from steps.errors import InputError
from steps.judging.saved_verdicts import judges_of, read_verdicts
from steps.judging.verdict import Unscored, Verdict, verdict_table


def test_swapped_verdicts_are_turned_back_to_the_first_answer():
    ab = Verdict("1", "j", "f", 0.9, order="ab", criteria={"tone": 0.8})
    ba = Verdict("1", "j", "f", 0.3, order="ba", criteria={"tone": 0.4})
    (judged,) = judges_of(verdict_table([ab, ba]))
    assert (judged.ab, judged.ba) == ({"1": 0.9}, {"1": 0.7})
    assert judged.preferences() == {"1": pytest.approx(0.8)}
    assert judged.criteria == {"tone": {"1": pytest.approx(0.7)}}


def test_unscored_verdicts_are_counted_and_give_no_score():
    failed = Verdict("1", "j", "f", None, Unscored.UNPARSEABLE_REPLY)
    (judged,) = judges_of(verdict_table([failed, Verdict("2", "j", "f", 4.0)]))
    assert (judged.scores, judged.n_unscored) == ({"2": 4.0}, 1)


def test_judges_of_one_name_and_two_fingerprints_stay_two():
    found = judges_of(verdict_table([Verdict("1", "j", "old", 1.0), Verdict("1", "j", "new", 2.0)]))
    assert [judged.scores for judged in found] == [{"1": 2.0}, {"1": 1.0}]


def test_saved_outputs_are_read_and_their_fingerprint_is_made_of_the_name(tmp_path):
    path = tmp_path / "saved.jsonl"
    rows = [{"item_id": at, "judge": "old", "score": at, "criteria": {"tone": 2}} for at in (1, 2)]
    path.write_text("\n".join(map(json.dumps, rows)) + "\n\n")
    (judged,) = judges_of(read_verdicts(path))
    assert judged.scores == {"1": 1.0, "2": 2.0}
    assert judged.criteria["tone"]["1"] == 2
    assert len(judged.fingerprint) == 64


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 1: not JSON"),
        ("[1]", "line 1: list, not an object"),
        ('{"item_id": "1", "judge": "j"}', "line 1: lacks the key score"),
        ('{"item_id": "1", "judge": "j", "score": "high"}', "key score: 'high' is neither a number nor null"),
        ('{"item_id": "1", "judge": "j", "score": NaN}', "key score: nan is neither"),
        ('{"item_id": "1", "judge": "j", "score": 1, "order": "first"}', "key order: 'first' is neither ab, ba"),
        ('{"item_id": "1", "judge": "j", "score": 4, "order": "ab"}', "key score: 4 of a pair must be P"),
        ('{"item_id": "1", "judge": "j", "score": 4, "criteria": [1]}', "key criteria: list"),
        ("", "holds no verdict"),
    ],
)
def test_a_broken_line_is_named(tmp_path, line, said):
    path = tmp_path / "saved.jsonl"
    path.write_text(line)
    with pytest.raises(InputError, match=said):
        read_verdicts(path)
