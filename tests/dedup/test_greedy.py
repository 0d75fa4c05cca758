import numpy as np
import pytest

from steps.dedup.documents import Document
from steps.dedup.greedy import select
from steps.dedup.marks import Marks, marks_of
from steps.dedup.nearest import space_of
from steps.dedup.selection import N_SHOWN
from steps.dedup.semantic import SemanticSettings


def families(n, seed=0, dimensions=24):
    random = np.random.default_rng(seed)
    centres = random.standard_normal((n // 5, dimensions))
    vectors = centres[random.integers(0, len(centres), n)] + 0.25 * random.standard_normal((n, dimensions))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def greedy(similar, least, apart):
    """The definition: rows in order, each against the kept rows before it."""
    kept, survivor, n_vetoed = [], {}, 0
    for row in range(len(similar)):
        near = [other for other in kept if similar[row, other] >= least]
        n_vetoed += sum(apart(row, other) for other in near)
        near = [other for other in near if not apart(row, other)]
        if near:
            survivor[row] = max(near, key=lambda other: (similar[row, other], -other))
        else:
            kept.append(row)
    return survivor, n_vetoed


@pytest.mark.parametrize("head", ["axes", "whole"])
@pytest.mark.parametrize("n_kinds", [1, 3])
def test_selection_over_tiles_equals_its_definition(head, n_kinds, monkeypatch):
    monkeypatch.setattr("steps.dedup.greedy.TILE_ROWS", 96)
    monkeypatch.setattr("steps.dedup.nearest.MIN_ROWS", 1 if head == "axes" else 10_000)
    monkeypatch.setattr("steps.dedup.nearest.CHECK_COLUMNS", 1)
    vectors = families(700)
    documents = [Document(f"pay {row % n_kinds + 2} euros", "", "") for row in range(700)]
    space = space_of(vectors, "cosine", 0.93)
    assert space.certain == (head == "whole")
    found = select(space, np.arange(700), marks_of(documents, SemanticSettings()), 0.93)
    wide = vectors.astype(np.float64)
    wide /= np.linalg.norm(wide, axis=1, keepdims=True)
    survivor, n_vetoed = greedy(wide @ wide.T, 0.93, lambda row, other: row % n_kinds != other % n_kinds)
    assert {pair.row: pair.other for pair in found.duplicates} == survivor
    assert found.n_vetoed == n_vetoed
    assert (n_vetoed > 0) == (n_kinds > 1)
    assert 50 < len(survivor) < 650
    for pair in found.duplicates:
        assert pair.similarity == pytest.approx(wide[pair.row] @ wide[pair.other], abs=1e-6)
    assert len(found.vetoed) == (N_SHOWN if n_kinds > 1 else 0)


def test_the_pairs_below_the_threshold_are_those_of_kept_rows_nearest_to_it(monkeypatch):
    monkeypatch.setattr("steps.dedup.greedy.TILE_ROWS", 96)
    vectors = families(700, seed=3)
    found = select(space_of(vectors, "cosine", 0.93), np.arange(700), Marks.none(700), 0.93)
    similar = vectors.astype(np.float64) @ vectors.T
    kept = sorted(set(range(700)) - {pair.row for pair in found.duplicates})
    nearest = sorted(
        (max((similar[row, other] for other in kept if other < row), default=0) for row in kept), reverse=True
    )
    assert [pair.similarity for pair in found.below] == pytest.approx(nearest[:N_SHOWN], abs=1e-6)


def test_rows_that_are_all_alike_fall_to_the_first():
    vectors = np.tile(families(10)[:1], (5000, 1))
    found = select(space_of(vectors, "cosine", 0.95), np.arange(5000), Marks.none(5000), 0.95)
    assert len(found.duplicates) == 4999
    assert {pair.other for pair in found.duplicates} == {0}
    assert {pair.similarity for pair in found.duplicates} == {1.0}


def test_a_template_whose_rows_differ_in_a_number_stays_whole_and_is_counted():
    vectors = np.tile(families(10)[:1], (3000, 1))
    documents = [Document(f"what is {row} squared?", "", "") for row in range(3000)]
    found = select(space_of(vectors, "cosine", 0.95), np.arange(3000), marks_of(documents, SemanticSettings()), 0.95)
    assert found.duplicates == []
    assert found.n_vetoed == 3000 * 2999 // 2
    assert len(found.vetoed) == N_SHOWN


def test_only_the_rows_that_are_asked_for_take_part_in_the_order_given():
    vectors = np.tile(families(10)[:1], (6, 1))
    found = select(space_of(vectors, "cosine", 0.9), np.array([4, 1, 5]), Marks.none(6), 0.9)
    assert [(pair.row, pair.other) for pair in found.duplicates] == [(1, 4), (5, 4)]
