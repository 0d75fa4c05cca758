"""Coefficients of agreement against published examples and independent implementations."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import cohen_kappa_score, roc_auc_score

from steps.judging.coefficients import (
    Resampling,
    cohen_kappa,
    fleiss_kappa,
    kendall_tau,
    krippendorff_alpha,
    order_agreement,
    spearman,
    wilson,
)

HOW = Resampling(seed=3, n_resamples=400)
_ = np.nan

#: Krippendorff 2011, section C: four observers, twelve units, missing data.
KRIPPENDORFF = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, _, _, _],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, _, 3],
        [_, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, _],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, _],
    ]
).T

#: Fleiss' example as it is reproduced in textbooks: 10 subjects, 14 raters, 5 categories, kappa 0.210.
FLEISS = [
    [0, 0, 0, 0, 14],
    [0, 2, 6, 4, 2],
    [0, 0, 3, 5, 6],
    [0, 3, 9, 2, 0],
    [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0],
    [3, 2, 6, 3, 0],
    [2, 5, 3, 2, 2],
    [6, 5, 2, 1, 0],
    [0, 2, 2, 3, 7],
]


@pytest.mark.parametrize(("level", "alpha"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_alpha_of_the_published_example_with_missing_data(level, alpha):
    found = krippendorff_alpha(KRIPPENDORFF, level, HOW)
    assert found.value == pytest.approx(alpha, abs=6e-4)
    assert found.n == 11  # the last unit has one value only and pairs with nothing
    assert found.low < found.value <= found.high


def test_fleiss_kappa_of_the_textbook_example():
    ratings = np.array([np.repeat(np.arange(5.0), counts) for counts in FLEISS])
    assert fleiss_kappa(ratings, HOW).value == pytest.approx(0.210, abs=5e-4)


def test_cohens_kappa_is_that_of_scikit_learn_with_and_without_weights():
    rng = np.random.default_rng(1)
    a = rng.integers(1, 6, 80).astype(float)
    b = np.clip(a + rng.integers(-1, 2, 80), 1, 5)
    assert cohen_kappa(a, b, HOW).value == pytest.approx(cohen_kappa_score(a, b))
    assert cohen_kappa(a, b, HOW, "quadratic").value == pytest.approx(cohen_kappa_score(a, b, weights="quadratic"))


def test_an_item_that_one_rater_left_out_does_not_count():
    a, b = np.array([1, 0, 1, _, 0.0]), np.array([1, 0, 0, 1, _])
    assert cohen_kappa(a, b, HOW) == cohen_kappa(a[:3], b[:3], HOW)
    assert cohen_kappa(a, b, HOW).n == 3


def test_rank_correlations_are_those_of_scipy_ties_included():
    rng = np.random.default_rng(2)
    a = rng.integers(1, 6, 60).astype(float)
    b = a + rng.normal(0, 2, 60).round()
    assert spearman(a, b, HOW).value == pytest.approx(stats.spearmanr(a, b).statistic)
    assert kendall_tau(a, b, HOW).value == pytest.approx(stats.kendalltau(a, b).statistic)


def test_order_agreement_on_two_levels_is_the_area_under_the_roc_curve():
    rng = np.random.default_rng(4)
    people = rng.integers(0, 2, 50).astype(float)
    judge = (people + rng.normal(0, 1, 50)).round(1)
    assert order_agreement(people, judge, HOW).value == pytest.approx(roc_auc_score(people, judge))


def test_a_judge_that_says_the_same_of_everything_orders_half_of_the_pairs_right():
    assert order_agreement(np.array([1.0, 2, 3, 4]), np.ones(4), HOW).value == 0.5


@pytest.mark.parametrize("coefficient", [cohen_kappa, spearman, kendall_tau])
def test_what_is_not_defined_is_none_and_never_a_number(coefficient):
    same = np.ones(10)
    assert coefficient(same, same, HOW)[:3] == (None, None, None)
    nothing = np.full(10, np.nan)
    assert coefficient(same, nothing, HOW) == (None, None, None, 0)


def test_alpha_and_fleiss_are_none_where_no_item_was_rated_twice():
    once = np.array([[1.0, _], [_, 2.0]])
    assert krippendorff_alpha(once, "nominal", HOW).value is None
    assert fleiss_kappa(once, HOW).value is None


def test_bootstrap_interval_of_kappa_agrees_with_its_asymptotic_standard_error():
    rng = np.random.default_rng(5)
    a = rng.integers(0, 2, 400).astype(float)
    b = np.where(rng.random(400) < 0.85, a, 1 - a)
    found = cohen_kappa(a, b, Resampling(seed=1, n_resamples=2000))
    observed = (a == b).mean()
    chance = a.mean() * b.mean() + (1 - a.mean()) * (1 - b.mean())
    error = np.sqrt(observed * (1 - observed) / 400) / (1 - chance)
    assert (found.high - found.low) / (2 * 1.96) == pytest.approx(error, rel=0.1)


def test_the_same_seed_gives_the_same_interval_and_another_seed_another():
    a, b = KRIPPENDORFF[:, 0], KRIPPENDORFF[:, 3]
    assert cohen_kappa(a, b, HOW) == cohen_kappa(a, b, HOW)
    wide = np.random.default_rng(0).integers(0, 3, (2, 97)).astype(float)
    assert cohen_kappa(*wide, HOW) != cohen_kappa(*wide, Resampling(4, 400))


def test_wilson_holds_the_ends_and_an_empty_sample():
    assert wilson(10, 10).low == pytest.approx(0.722, abs=1e-3)
    assert wilson(10, 10).high == pytest.approx(1)
    assert wilson(0, 0) == (None, None, None, 0)
