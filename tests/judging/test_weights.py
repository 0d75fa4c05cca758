"""Weights of a jury learned from labels, and that they are measured on labels which they have not seen."""

import numpy as np
import pytest

from steps.errors import InputError
from steps.judging.weights import (
    credits_of,
    decide,
    learn_score_weights,
    learn_weights,
    log_odds_weights,
    majority_preference,
    weighted_preference,
)

_ = np.nan


def jury(accuracies, n=400, seed=0, shared_error=0.0):
    """Pairs with a winner, and members that are right so often; with `shared_error` all but the first err together."""
    rng = np.random.default_rng(seed)
    people = rng.integers(0, 2, n).astype(float)
    together = rng.random(n) < shared_error
    members = []
    for at, accuracy in enumerate(accuracies):
        right = rng.random(n) < accuracy
        if at:
            right &= ~together
        members.append(np.where(right, people, 1 - people))
    return people, np.stack(members, axis=1)


def test_credit_is_one_for_the_same_side_half_for_a_tie_and_nothing_for_no_answer():
    people, judge = np.array([1, 1, 0, 0, 1.0, _]), np.array([0.9, 0.5, 0.2, 0.8, _, 0.9])
    assert np.array_equal(credits_of(people, judge), [1, 0.5, 1, 0, _, _], equal_nan=True)


def test_weights_are_the_log_odds_of_being_right():
    people, members = jury([0.9, 0.7], n=20_000)
    weights = log_odds_weights(credits_of(people, members))
    expected = np.log([0.9 / 0.1, 0.7 / 0.3])
    assert weights == pytest.approx(expected / expected.sum(), abs=0.01)


def test_a_member_that_is_mostly_wrong_is_not_heard_instead_of_believed_in_reverse():
    people, members = jury([0.9, 0.2])
    assert log_odds_weights(credits_of(people, members)).tolist() == [1, 0]


def test_members_that_are_all_mostly_wrong_weigh_the_same():
    people, members = jury([0.2, 0.2])
    assert log_odds_weights(credits_of(people, members)).tolist() == [0.5, 0.5]


def test_weights_mend_a_majority_that_shares_a_bias():
    people, members = jury([0.85, 0.75, 0.75], shared_error=0.45)
    found = learn_weights(people, members, seed=1)
    assert found.majority.mean() < found.best.mean() - 0.1
    assert found.weighted.mean() > found.majority.mean() + 0.1


def test_independent_members_of_different_skill_do_better_weighted_than_alone():
    people, members = jury([0.8, 0.75, 0.7, 0.7, 0.7], n=2000)
    found = learn_weights(people, members, seed=1)
    assert found.weighted.mean() > found.best.mean() + 0.03


def test_on_pure_noise_the_measured_agreement_is_half_although_the_weights_fit_the_labels():
    people, members = jury([0.5] * 8, n=60, seed=5)
    found = learn_weights(people, members, seed=1)
    on_itself = credits_of(people, weighted_preference(members, found.weights)).mean()
    assert on_itself > found.weighted.mean() + 0.05
    assert found.weighted.mean() == pytest.approx(0.5, abs=0.12)


def test_missing_votes_are_left_out_and_a_pair_without_any_is_a_coins_toss():
    members = np.array([[1, _], [_, _], [0.0, 1.0]])
    assert np.array_equal(weighted_preference(members, np.array([3, 1.0])), [1, _, 0.25], equal_nan=True)
    assert np.array_equal(majority_preference(members), [1, _, 0.5], equal_nan=True)
    found = decide(np.ones((5, 2)), members, np.array([1, 1, 0.0]))
    assert found.weighted.tolist() == [1, 0.5, 0.5]


def test_the_same_seed_gives_the_same_figures():
    people, members = jury([0.8, 0.6], n=70)
    assert np.array_equal(learn_weights(people, members, 3).weighted, learn_weights(people, members, 3).weighted)


def test_too_few_labels_are_refused_with_how_many_are_missing():
    people, members = jury([0.9, 0.7], n=49)
    with pytest.raises(InputError, match=r"49 labelled pairs are too few .* label 1 more \(min_labels=50\)"):
        learn_weights(people, members, seed=1)
    assert learn_weights(people, members, seed=1, min_labels=40).weights.sum() == pytest.approx(1)


def test_one_judge_is_no_jury():
    people, members = jury([0.9])
    with pytest.raises(InputError, match="a jury has two members or more, and verdicts of 1 judge"):
        learn_weights(people, members, seed=1)


def test_judges_of_single_answers_are_weighed_by_how_they_order_them():
    rng = np.random.default_rng(0)
    people = rng.integers(1, 6, 120).astype(float)
    members = np.stack([people * 20 + rng.normal(0, 15, 120), rng.normal(0, 1, 120)], axis=1)
    members[3, 1] = _
    found = learn_score_weights(people, members, seed=1)
    assert found.weights[0] > 0.9
    assert np.corrcoef(found.weighted, people)[0, 1] > np.corrcoef(found.majority, people)[0, 1] + 0.05
