import numpy as np
import pytest

from steps.judging.jury import combine, default_quorum, member_agreement, votes_of
from steps.judging.verdict import Unscored, Verdict


def verdicts(judge, *scores):
    return [
        Verdict(str(i), judge, f"print of {judge}", score, None if score is not None else Unscored.TRUNCATED_REPLY)
        for i, score in enumerate(scores)
    ]


def jury(*columns):
    """One column of scores per judge: a, b, c, …"""
    return {name: verdicts(name, *scores) for name, scores in zip("abcde", columns, strict=False)}


def scores(*args, **kwargs):
    return [one.score for one in combine(*args, **kwargs)]


def test_mean_and_median_differ_where_one_judge_is_far_off():
    found = jury([1.0], [0.8], [0.0])
    assert scores(found, "mean") == [pytest.approx(0.6)]
    assert scores(found, "median") == [pytest.approx(0.8)]


def test_scales_are_brought_to_one_before_votes_are_combined():
    scales = {"a": (1, 5), "b": (-10, 10)}
    (one,) = combine(jury([4], [0]), "mean", scales=scales)
    assert one.votes == {"a": 0.75, "b": 0.5}
    assert one.score == pytest.approx(0.625)
    assert one.disagreement == pytest.approx(0.25)


def test_a_majority_is_strict_and_counts_votes_at_the_level():
    found = jury([0.75, 0.75, 0.74], [0.75, 0.0, 0.74], [0.0, 0.0, 0.74])
    assert scores(found, "majority", pass_level=0.75) == [1.0, 0.0, 0.0]
    assert scores(jury([0.9], [0.1]), "majority") == [0.0]


def test_a_silent_member_is_no_vote_of_zero():
    found = jury([0.9, 0.9], [0.9, None], [None, None])
    first, second = combine(found, "mean")
    assert first.score == pytest.approx(0.9)
    assert first.votes == {"a": 0.9, "b": 0.9}
    assert (second.score, second.unscored_reason) == (None, Unscored.TOO_FEW_JUDGES)
    assert second.disagreement is None
    assert "b: truncated_reply" in second.detail
    assert second.votes == {"a": 0.9}


def test_the_quorum_decides_how_many_must_speak():
    found = jury([0.9], [None], [None])
    assert scores(found, "median", quorum=1) == [0.9]
    assert scores(jury([0.9], [0.9], [None]), "median", quorum=3) == [None]
    assert [default_quorum(n) for n in (2, 3, 4)] == [2, 2, 3]


def test_weights_decide_and_a_jury_of_weightless_votes_says_nothing():
    weights = {"a": 0.75, "b": 0.25, "c": 0.0}
    found = jury([1.0, None], [0.0, None], [0.0, 1.0])
    assert scores(found, "weighted", weights, quorum=1) == [pytest.approx(0.75), None]


@pytest.mark.parametrize("weights", [None, {"a": 1.0}, {"a": 1.0, "b": -0.1}])
def test_a_weighted_jury_needs_a_weight_for_everybody(weights):
    with pytest.raises(ValueError, match="weight of 0 or more"):
        combine(jury([1.0], [0.0]), "weighted", weights)


def test_a_jury_on_no_items_says_nothing():
    assert combine(jury([], []), "median") == []
    assert combine(jury([], []), "majority") == []


def test_weights_undo_the_bias_that_weak_judges_share():
    """Three judges that fall for the same trait outvote the good one; learned weights give it back its say."""
    truth = np.random.default_rng(3).random(400) < 0.5
    shared = np.random.default_rng(4).random(400) < 0.6  # where the weak ones are wrong, all three are
    weak = np.where(shared, ~truth, truth).astype(float)
    good = np.where(np.random.default_rng(5).random(400) < 0.15, ~truth, truth).astype(float)
    found = jury(good.tolist(), weak.tolist(), weak.tolist(), weak.tolist())
    by_majority = np.array(scores(found, "majority")) == truth
    by_weight = (np.array(scores(found, "weighted", {"a": 1.0, "b": 0.0, "c": 0.0, "d": 0.0})) > 0.5) == truth
    assert by_majority.mean() < 0.5
    assert by_weight.mean() > 0.8


def test_members_are_compared_on_what_both_scored():
    found = jury([1, 2, 3, 4, None], [2, 3, 4, 5, 5], [3, 3, 3, 3, 3])
    scales = dict.fromkeys("abc", (1, 5))
    pairs = member_agreement(list("abc"), votes_of(found, scales), 0.5)
    assert [(pair["first"], pair["second"], pair["n"]) for pair in pairs] == [
        ("a", "b", 4),
        ("a", "c", 4),
        ("b", "c", 5),
    ]
    assert pairs[0]["spearman"] == pytest.approx(1.0)
    assert pairs[0]["mean_difference"] == pytest.approx(-0.25)
    assert pairs[0]["same_side"] == pytest.approx(0.75)
    assert pairs[1]["spearman"] is None
