import math

import pytest

from steps.errors import InputError
from steps.ledger import Drops
from steps.preference.candidate import Candidate
from steps.preference.length_bias import LengthBiasSettings, bound_length_bias, measure_length_bias


def said(text):
    return [{"role": "assistant", "content": text}]


def candidates(*lengths):
    """Make pairs of answers of these lengths, chosen and rejected."""
    return [
        Candidate(f"c{number}", "imported", {"chosen": said("x" * chosen), "rejected": said("y" * rejected)})
        for number, (chosen, rejected) in enumerate(lengths)
    ]


def bounded(pairs, bound, seed=1, **settings):
    drops = Drops("preferences")
    bound_length_bias(pairs, LengthBiasSettings(max_length_bias=bound, **settings), seed, drops)
    return drops, [one for one in pairs if one.ledger_id not in drops]


def test_the_measures_say_which_side_is_longer_and_by_how_much():
    found = measure_length_bias(candidates((20, 10), (40, 20), (10, 20), (5, 5)))
    assert (found.n_pairs, found.n_longer_chosen, found.n_longer_rejected) == (4, 2, 1)
    assert found.share_longer_chosen == pytest.approx(2 / 3)
    assert found.mean_log_ratio == pytest.approx(math.log(2) / 4, abs=1e-6)
    # Means 18.75 of the chosen and 13.75 of the rejected: 5 ÷ 2 ÷ the standard deviation of all eight, 10.825.
    assert found.point_biserial == pytest.approx(2.5 / 10.8253, abs=1e-4)


def test_space_around_an_answer_is_no_length():
    (one,) = candidates((4, 4))
    one.pair["chosen"][0]["content"] += "\n" * 9
    assert measure_length_bias([one]).share_longer_chosen is None


def test_no_pairs_have_no_bias():
    assert measure_length_bias([])[3:] == (None, None, None)


@pytest.mark.parametrize("flip", [False, True])
def test_the_most_biased_pairs_go_until_the_share_is_within_the_bound(flip):
    lengths = [(10 + n, 10) for n in range(1, 9)] + [(10, 12), (10, 14)]
    pairs = candidates(*((b, a) if flip else (a, b) for a, b in lengths))
    drops, left = bounded(pairs, 0.1)
    # 0.6 allows 3 to 2; of eight, the five of the greatest ratio go.
    assert [one.ledger_id for one in left] == ["c0", "c1", "c2", "c8", "c9"]
    assert abs(measure_length_bias(left).share_longer_chosen - 0.5) <= 0.1 + 1e-9
    rows = drops.table().to_pylist()
    assert {row["reason"] for row in rows} == {"length_bias"}
    scores = {row["row_id"]: row["score"] for row in rows}
    assert abs(scores["c7"]) == pytest.approx(math.log(18 / 10), abs=1e-4)
    assert "shorter" in rows[0]["detail"] if flip else "longer" in rows[0]["detail"]


def test_within_the_bound_nothing_goes_and_equal_lengths_do_not_count():
    assert len(bounded(candidates((20, 10), (10, 20), (5, 5), (6, 6)), 0.0)[0]) == 0
    assert len(bounded(candidates((20, 10), (20, 10), (10, 20)), 0.2)[0]) == 0


def test_among_equals_the_seed_decides_and_not_the_place():
    pairs = candidates(*[(20, 10)] * 8, (10, 20), (10, 20))
    kept = {seed: {one.ledger_id for one in bounded(pairs, 0.0, seed)[1]} for seed in (1, 2, 3)}
    assert {one.ledger_id for one in bounded(pairs[::-1], 0.0, 1)[1]} == kept[1]
    assert len({frozenset(ids) for ids in kept.values()}) > 1


def test_an_unbounded_bias_stops_the_run_where_asked_or_where_nothing_would_be_left():
    pairs = candidates((20, 10), (20, 10), (10, 20))
    with pytest.raises(InputError, match=r"longer in 66.7% of 3 pairs.*max_length_bias=0.1 allows 60%"):
        bounded(pairs, 0.1, action="stop")
    with pytest.raises(InputError, match="none would be left"):
        bounded(pairs[:2], 0.1)
