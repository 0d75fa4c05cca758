import random

import pytest

from steps.preference.comparisons import ComparisonSettings, Outcome, schedule, scores_of


def outcomes_of(ranks, pairs):
    return [Outcome(first, second, float(ranks[first] < ranks[second]), True) for first, second in pairs]


def order_of(scores):
    return sorted(range(len(scores)), key=lambda place: -scores[place])


def test_a_round_robin_compares_every_two_once():
    pairs = schedule(6, None)
    assert len(pairs) == len({frozenset(pair) for pair in pairs}) == 15
    assert schedule(1, None) == []


@pytest.mark.parametrize(("n", "bound"), [(4, 3), (5, 7), (8, 8), (6, 14)])
def test_a_bound_is_kept_and_all_answers_hang_together(n, bound):
    pairs = schedule(n, bound)
    assert len(pairs) == len({frozenset(pair) for pair in pairs}) == bound
    reached = {0}
    for _ in range(n):
        reached |= {place for pair in pairs if reached & set(pair) for place in pair}
    assert reached == set(range(n))


@pytest.mark.parametrize("score", ["win_rate", "bradley_terry"])
def test_a_round_robin_ranks_alike_by_both_scores(score):
    ranks = [3, 0, 4, 1, 2]
    outcomes = outcomes_of(ranks, schedule(5, None))
    random.Random(1).shuffle(outcomes)
    scores = scores_of(5, outcomes, ComparisonSettings(score=score))
    assert order_of(scores) == [1, 3, 4, 0, 2]
    assert all(0 <= value <= 1 for value in scores)


def test_bradley_terry_knows_how_strong_the_others_were():
    # 0 beat the strong 1, which beats everyone else; 4 beat the weak 3 only. Both have won all their comparisons.
    outcomes = [Outcome(*pair, 1.0, True) for pair in ((0, 1), (1, 2), (1, 3), (2, 3), (4, 3))]
    strong, *_, lucky = scores_of(5, outcomes, ComparisonSettings(score="bradley_terry"))
    assert strong > lucky
    rates = scores_of(5, outcomes, ComparisonSettings())
    assert rates[0] == rates[4] == 1.0


def test_bradley_terry_of_two_is_the_solution_of_its_equation():
    better, worse = scores_of(2, [Outcome(0, 1, 1.0, True)], ComparisonSettings(score="bradley_terry"))
    strength = better / (1 - better)
    # Wins (one, and half of the tie with strength 1) equal the expected ones; the other's strength is the inverse.
    assert strength / (strength + 1 / strength) + strength / (strength + 1) == pytest.approx(1.5, abs=1e-4)
    assert better + worse == pytest.approx(1)


def test_an_answer_without_a_comparison_has_no_score():
    assert scores_of(3, [Outcome(0, 1, 0.5, False)], ComparisonSettings()) == [0.5, 0.5, None]
