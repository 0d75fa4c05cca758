import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from steps.judging.selection import SelectSettings, select

NAN = float("nan")


def kept(scores, settings, groups=None, seed=7, ids=None):
    ids = pa.array([f"id{i}" for i in range(len(scores))] if ids is None else ids)
    column = None if groups is None else pa.chunked_array([pa.array(groups)])
    return select(np.array(scores, float), ids, column, SelectSettings(**settings), seed)


def test_a_bound_keeps_what_is_at_it_and_what_has_no_score():
    found = kept([0.2, 0.3, NAN, 0.29], {"min_score": 0.3})
    assert found.kept.tolist() == [False, True, True, False]
    assert found.groups[0].n_kept == 1


def test_a_bound_of_zero_is_a_bound():
    assert kept([-0.1, 0.0], {"min_score": 0}).kept.tolist() == [False, True]


def test_the_best_k_of_the_scored_rows_stay_and_the_border_is_the_lowest_of_them():
    found = kept([5, 1, NAN, 4, 3], {"top_k": 2})
    assert found.kept.tolist() == [True, False, True, True, False]
    assert (found.groups[0].border, found.groups[0].n_scored, found.groups[0].n_tied) == (4.0, 4, 0)


@pytest.mark.parametrize(("k", "n"), [(0, 0), (3, 3), (99, 3)])
def test_k_may_be_none_all_or_more_than_there_are(k, n):
    assert kept([1, 2, 3], {"top_k": k}).kept.sum() == n


@pytest.mark.parametrize(("fraction", "n", "expected"), [(0.07, 100, 7), (0.3, 10, 3), (0.01, 10, 1), (1, 10, 10)])
def test_a_fraction_is_rounded_up_but_not_by_a_rounding_error(fraction, n, expected):
    assert kept(np.arange(n), {"top_fraction": fraction}).kept.sum() == expected


def test_each_group_keeps_its_own_best():
    found = kept([9, 8, 7, 1, 2, 3], {"top_k": 1, "per": "source"}, ["hard", "hard", "hard", "easy", "easy", None])
    assert found.kept.tolist() == [True, False, False, False, True, True]
    assert [(group.name, group.border) for group in found.groups] == [(None, 3.0), ("easy", 2.0), ("hard", 9.0)]
    assert found.border.tolist() == [9, 9, 9, 2, 2, 3]


def test_ties_at_the_border_are_decided_by_seed_and_not_by_order():
    ids = [f"row{i}" for i in range(40)]
    scores = [5.0] * 10 + [3.0] * 30

    def chosen(order, seed):
        found = kept([scores[i] for i in order], {"top_k": 20}, ids=[ids[i] for i in order], seed=seed)
        assert (found.groups[0].n_tied, found.groups[0].border) == (30, 3.0)
        return {ids[i] for i, keep in zip(order, found.kept, strict=True) if keep}

    forwards = chosen(range(40), 7)
    assert forwards == chosen(range(39, -1, -1), 7)
    assert forwards >= set(ids[:10])
    assert len(forwards) == 20
    assert forwards != set(ids[:20])
    assert forwards != chosen(range(40), 8)


def test_no_rows_are_selected_from_no_rows():
    assert kept([], {"top_k": 3}).kept.tolist() == []
    assert kept([NAN], {"top_fraction": 0.5}).kept.tolist() == [True]
    assert kept([], {"top_k": 3, "per": "kind"}, pa.array([], pa.string())).groups == []


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({}, "exactly one"),
        ({"min_score": 0.0, "top_k": 0}, "found: min_score, top_k"),
        ({"min_score": 0.1, "per": "kind"}, "one bound for all rows"),
        ({"top_fraction": 0.0}, "greater than 0"),
    ],
)
def test_rules_that_exclude_each_other_are_refused(settings, says):
    with pytest.raises(ValidationError, match=says):
        SelectSettings(**settings)
