import numpy as np
import pytest

from steps.dedup.cells import Cells, CellsJoin
from steps.dedup.documents import Document
from steps.dedup.linkage import DbscanJoin, HierarchicalJoin, dbscan_labels, hierarchical_labels
from steps.dedup.nearest import Pairs, pairs_above, space_of
from steps.dedup.semantic import SemanticSettings, join
from steps.errors import ConfigError

JOINS = [
    {"kind": "exact"},
    {"kind": "cells", "rows_per_cell": 100},
    {"kind": "dbscan"},
    {"kind": "dbscan", "min_samples": 4},
    {"kind": "hierarchical", "linkage": "single"},
    {"kind": "hierarchical", "linkage": "average"},
    {"kind": "hierarchical", "linkage": "complete"},
]


def families(n, seed=0, dimensions=24):
    random = np.random.default_rng(seed)
    centres = random.standard_normal((n // 5, dimensions))
    vectors = centres[random.integers(0, len(centres), n)] + 0.25 * random.standard_normal((n, dimensions))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def chain(n, degrees=10.0):
    """Vectors on an arc, each as far from the next."""
    angles = np.radians(degrees) * np.arange(n)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def documents_of(n):
    return [Document(f"text {'x' * row}", "", "") for row in range(n)]


def joined(vectors, documents=None, **options):
    return join(vectors, range(len(vectors)), documents or documents_of(len(vectors)), SemanticSettings(**options))


def partition(labels):
    groups = {}
    for row, label in enumerate(labels):
        groups.setdefault(("alone", row) if label < 0 else label, set()).add(row)
    return sorted(map(sorted, groups.values()))


@pytest.mark.parametrize("options", JOINS, ids=str)
def test_every_dropped_row_names_a_kept_row_and_their_true_similarity(options):
    vectors = families(500)
    found = joined(vectors, join=options, threshold=0.93)
    dropped = {match.row for match in found.duplicates}
    assert len(dropped) == len(found.duplicates) > 50
    for match in found.duplicates:
        assert match.other not in dropped
        assert match.similarity == pytest.approx(float(vectors[match.row] @ vectors[match.other]), abs=1e-6)
        if options["kind"] in ("exact", "cells") or options.get("linkage") == "complete":
            assert match.similarity >= 0.93


@pytest.mark.parametrize("min_samples", [2, 4])
def test_dbscan_is_that_of_all_distances(min_samples):
    from sklearn.cluster import DBSCAN

    vectors = families(400).astype(np.float64)
    distances = np.maximum(0, 1 - vectors @ vectors.T)
    expected = DBSCAN(eps=0.07, min_samples=min_samples, metric="precomputed").fit(distances).labels_
    space = space_of(vectors, "cosine", 0.93)
    labels = dbscan_labels(400, pairs_above(space, 0.93).pairs, DbscanJoin(min_samples=min_samples))
    assert partition(labels) == partition(expected)
    assert len(partition(labels)) < 390


@pytest.mark.parametrize("linkage", ["single", "average", "complete"])
def test_hierarchical_clusters_are_those_of_all_rows(linkage):
    from scipy.cluster.hierarchy import fcluster
    from scipy.cluster.hierarchy import linkage as agglomerate
    from scipy.spatial.distance import squareform

    vectors = families(400, seed=4).astype(np.float64)
    distances = np.maximum(0, 1 - vectors @ vectors.T)
    np.fill_diagonal(distances, 0)
    expected = fcluster(agglomerate(squareform(distances, checks=False), linkage), 0.1, criterion="distance")
    space = space_of(vectors, "cosine", 0.9)
    labels = hierarchical_labels(space, pairs_above(space, 0.9).pairs, 0.9, HierarchicalJoin(linkage=linkage))
    assert partition(labels) == partition(expected)
    assert 20 < len(partition(labels)) < 390


def test_density_chains_and_the_exact_join_does_not():
    vectors = chain(7)
    least = float(np.cos(np.radians(11)))
    by_density = joined(vectors, join={"kind": "dbscan"}, threshold=least)
    assert [(match.row, match.other) for match in by_density.duplicates] == [(row, 0) for row in range(1, 7)]
    assert by_density.duplicates[-1].similarity == pytest.approx(np.cos(np.radians(60)), abs=1e-6)
    exact = joined(vectors, threshold=least)
    assert [(match.row, match.other) for match in exact.duplicates] == [(1, 0), (3, 2), (5, 4)]
    complete = joined(vectors, join={"kind": "hierarchical", "linkage": "complete"}, threshold=least)
    assert len(complete.duplicates) == 3


def test_cells_report_the_recall_that_they_have():
    vectors = np.random.default_rng(1).standard_normal((600, 4)).astype(np.float32)
    settings = SemanticSettings(join={"kind": "cells", "rows_per_cell": 40}, threshold=0.9)
    found = join(vectors, range(600), documents_of(600), settings)
    space = space_of(vectors, "cosine", 0.9)
    cells = Cells(space, settings.join)
    pairs = pairs_above(space, 0.9).pairs
    true = float(np.mean(cells.labels[pairs.left] == cells.labels[pairs.right]))
    assert 0.1 < true < 0.95
    assert found.detail["recall"] == pytest.approx(true, abs=0.08)
    assert "sees" in found.detail["warnings"][0]
    assert joined(vectors, threshold=0.9).detail["recall"] == 1.0
    assert joined(vectors, threshold=0.9).detail["warnings"] == []


def test_clusters_report_the_share_of_pairs_that_they_join():
    vectors = families(300, seed=2, dimensions=8)
    assert joined(vectors, join={"kind": "dbscan"}, threshold=0.9).detail["recall"] == 1.0
    complete = joined(vectors, join={"kind": "hierarchical", "linkage": "complete"}, threshold=0.9)
    assert 0.1 < complete.detail["recall"] < 1.0


@pytest.mark.parametrize("kind", ["cells", "dbscan", "hierarchical"])
@pytest.mark.parametrize(("representative", "survivor"), [("best", 0), ("central", 2), ("outlying", 0)])
def test_the_survivor_is_the_one_that_the_policy_names(kind, representative, survivor):
    vectors = chain(5, degrees=4.0)
    found = joined(vectors, join={"kind": kind}, representative=representative, threshold=0.9)
    assert {match.other for match in found.duplicates} == {survivor}
    assert len(found.duplicates) == 4


def test_the_row_farthest_from_the_centre_stands_for_an_uneven_cluster():
    vectors = chain(5, degrees=4.0)[[1, 1, 0, 1, 3]]
    found = joined(vectors, join={"kind": "dbscan"}, representative="outlying", threshold=0.9)
    assert {match.other for match in found.duplicates} == {4}


@pytest.mark.parametrize("options", JOINS, ids=str)
def test_no_join_merges_what_the_guard_keeps_apart(options):
    documents = [Document(f"pay {row % 3 + 2} euros", "", "") for row in range(60)]
    found = joined(np.ones((60, 4), np.float32), documents, join=options)
    assert {match.other for match in found.duplicates} == {0, 1, 2}
    assert len(found.duplicates) == 57
    assert all(match.row % 3 == match.other % 3 for match in found.duplicates)
    assert found.n_vetoed > 0
    assert "numbers differ" in found.vetoed[0].veto


def test_a_part_too_large_for_its_distances_is_refused_with_advice(monkeypatch):
    monkeypatch.setattr("steps.dedup.linkage.MAX_PART_ROWS", 10)
    with pytest.raises(ConfigError, match=r"10 rows that hang together, and 12 do.*linkage to single"):
        joined(np.ones((12, 4), np.float32), join={"kind": "hierarchical"})
    assert (
        len(joined(np.ones((12, 4), np.float32), join={"kind": "hierarchical", "linkage": "single"}).duplicates) == 11
    )


def test_cells_are_the_same_whenever_they_are_computed():
    vectors = families(300)
    space = space_of(vectors, "cosine", 0.9)
    one, other = (Cells(space, CellsJoin(rows_per_cell=30)).labels for _ in range(2))
    assert (one == other).all()
    assert len(set(one.tolist())) == 10


def test_rows_that_a_guard_keeps_apart_share_no_complete_cluster():
    space = space_of(np.ones((3, 4), np.float32), "cosine", 0.9)
    joined_pairs = pairs_above(space, 0.9).pairs
    without = Pairs(*(part[[1, 2]] for part in joined_pairs))  # rows 0 and 1 are apart, row 2 is like both
    assert (without.left.tolist(), without.right.tolist()) == ([2, 2], [0, 1])
    labels = hierarchical_labels(space, without, 0.9, HierarchicalJoin(linkage="complete"))
    assert labels[0] != labels[1]
    assert labels[2] in labels[:2]


def test_a_guarded_pair_weighs_in_the_mean_of_a_cluster_like_opposite_vectors():
    space = space_of(np.ones((12, 4), np.float32), "cosine", 0.9)
    all_pairs = pairs_above(space, 0.9).pairs
    is_allowed = (all_pairs.left != 11) | (all_pairs.right != 0)
    allowed = Pairs(*(part[is_allowed] for part in all_pairs))
    labels = hierarchical_labels(space, allowed, 0.9, HierarchicalJoin(linkage="average"))
    # Eleven rows are one cluster; the twelfth, like ten of them, lies 2 / 11 from it, and 0.1 is allowed.
    assert sorted(np.bincount(labels).tolist()) == [1, 11]
