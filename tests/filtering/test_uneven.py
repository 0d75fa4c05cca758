import numpy as np
import pytest
from scipy.stats import fisher_exact

from steps.filtering.slices import Slicing
from steps.filtering.uneven import UnevenSettings, fisher_greater, uneven_rules


def rows(*shares: tuple[int, int]):
    """Slices 0, 1, … of (rows, rows that fail)."""
    codes = np.repeat(np.arange(len(shares)), [n for n, _ in shares])
    mask = np.concatenate([np.arange(n) < failed for n, failed in shares])
    return codes, mask


def found(*shares, family="quality", dimension="source", **settings):
    codes, mask = rows(*shares)
    slicing = Slicing(dimension, [f"s{n}" for n in range(len(shares))], codes)
    return uneven_rules({(family, "reason"): mask}, [slicing], UnevenSettings(**settings))


def test_p_values_are_those_of_fishers_exact_test():
    ours = fisher_greater(np.array([8, 1]), np.array([20, 50]), np.array([3, 9]), np.array([40, 60]))
    theirs = [
        fisher_exact([[8, 12], [3, 37]], alternative="greater").pvalue,
        fisher_exact([[1, 49], [9, 51]], alternative="greater").pvalue,
    ]
    assert ours == pytest.approx(theirs)


def test_a_slice_that_a_rule_hits_far_more_than_the_rest_is_named_with_its_numbers():
    (pair,) = found((200, 60), (1000, 30), (1000, 28))
    assert (pair["slice"], pair["n_rows"], pair["n_dropped"], pair["n_rest"], pair["n_dropped_rest"]) == (
        "s0",
        200,
        60,
        2000,
        58,
    )
    assert pair["ratio"] == pytest.approx(0.3 / 0.029)
    assert pair["p"] < 1e-20


def test_a_rule_that_hits_only_one_slice_has_no_ratio():
    (pair,) = found((200, 20), (1000, 0))
    assert pair["ratio"] is None


@pytest.mark.parametrize(
    "shares",
    [
        ((200, 6), (1000, 30)),  # the same rate
        ((20, 20), (1000, 0)),  # too few rows
        ((200, 4), (1000, 0)),  # too few dropped
        ((10_000, 1_500), (10_000, 1_000)),  # sure, yet not large
        ((40, 5), (1000, 60)),  # large, yet not sure
    ],
)
def test_differences_that_are_small_or_unsure_are_not_named(shares):
    assert found(*shares) == []


def test_lengths_are_not_compared_by_rules_about_length():
    assert found((200, 100), (1000, 0), family="length", dimension="length") == []
    assert found((200, 100), (1000, 0), family="length", dimension="source") != []


def test_many_comparisons_ask_for_more_evidence():
    codes, mask = rows((100, 12), (1000, 50))
    slicing = Slicing("source", ["a", "b"], codes)
    one = uneven_rules({("f", "r"): mask}, [slicing], UnevenSettings(max_p=0.05))
    assert [pair["slice"] for pair in one] == ["a"]
    many = {("f", f"r{n}"): mask for n in range(40)}
    assert uneven_rules(many, [slicing], UnevenSettings(max_p=0.05)) == []


def test_without_rows_nothing_stands_out():
    assert uneven_rules({}, [], UnevenSettings()) == []
