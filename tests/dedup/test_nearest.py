import numpy as np
import pytest

from steps.dedup.nearest import pairs_above, space_of, touched_rows
from steps.errors import ConfigError


def spectra(n, dimensions, seed=0):
    """Sets of vectors that a projection finds easy, hard, or useless."""
    random = np.random.default_rng(seed)
    steep = random.standard_normal((n, dimensions)) / np.arange(1, dimensions + 1)
    flat = random.standard_normal((n, dimensions))
    centres = random.standard_normal((max(1, n // 10), dimensions))
    families = centres[random.integers(0, len(centres), n)] + 0.3 * flat
    low_rank = random.standard_normal((n, 3)) @ random.standard_normal((3, dimensions))
    lonely = flat.copy()
    lonely[::7] = 0
    return {
        "steep": steep,
        "isotropic": flat,
        "families": families,
        "low rank": low_rank,
        "one direction": np.outer(random.uniform(0.5, 2, n), random.standard_normal(dimensions)),
        "tiny and huge": families * random.choice([1e-4, 1.0, 1e4], (n, 1)),
        "zeros": lonely,
    }


NAMES = list(spectra(10, 4))


def truth(vectors, metric, least):
    """All pairs by brute force in double precision, less those within rounding of the threshold."""
    wide = vectors.astype(np.float64)
    if metric == "cosine":
        lengths = np.linalg.norm(wide, axis=1, keepdims=True)
        unit = np.divide(wide, lengths, out=np.zeros_like(wide), where=lengths > 0)
        similar = unit @ unit.T
    else:
        squared = (wide * wide).sum(axis=1)
        similar = 1 - (squared[:, None] + squared[None, :] - 2 * wide @ wide.T) / 2
    left, right = np.nonzero(np.tril(similar >= least + 1e-6, -1))
    maybe = int(np.tril(similar >= least - 1e-6, -1).sum())
    return set(zip(left.tolist(), right.tolist(), strict=True)), maybe


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("least", [0.3, 0.9, 0.999])
def test_the_join_finds_exactly_the_pairs_of_brute_force(name, least, monkeypatch):
    monkeypatch.setattr("steps.dedup.nearest.MIN_ROWS", 1)  # axes are sought for few rows too
    monkeypatch.setattr("steps.dedup.nearest.TILE_ROWS", 128)
    vectors = spectra(400, 40)[name].astype(np.float32)
    found = pairs_above(space_of(vectors, "cosine", least), least).pairs
    expected, maybe = truth(vectors, "cosine", least)
    pairs = set(zip(found.left.tolist(), found.right.tolist(), strict=True))
    assert expected <= pairs
    assert len(pairs) == len(found.left) <= maybe
    assert (found.similarity >= least).all()


@pytest.mark.parametrize("name", ["steep", "families", "low rank"])
def test_euclidean_distances_are_joined_exactly(name, monkeypatch):
    monkeypatch.setattr("steps.dedup.nearest.MIN_ROWS", 1)
    vectors = (0.3 * spectra(300, 24)[name]).astype(np.float32)
    found = pairs_above(space_of(vectors, "euclidean", 0.5), 0.5).pairs
    expected, maybe = truth(vectors, "euclidean", 0.5)
    assert expected <= set(zip(found.left.tolist(), found.right.tolist(), strict=True))
    assert len(expected) <= len(found.left) <= maybe
    distances = np.linalg.norm(vectors[found.left] - vectors[found.right], axis=1)
    assert found.similarity == pytest.approx(1 - distances**2 / 2, abs=1e-5)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("head", [None, 1, 5, 39])
def test_no_similarity_exceeds_its_bound(name, metric, head):
    from steps.dedup.nearest import _axes, _with_head

    vectors = spectra(200, 40)[name].astype(np.float32)
    space = space_of(vectors, metric, 0.9)
    axes = None if head is None else _axes(vectors, space.scale)[:, :head]
    space = _with_head(space.exact, axes)
    upper = space.bounds(slice(None), slice(None)).astype(np.float64) + space.slack
    for row in range(0, 200, 9):
        for other in range(200):
            assert space.similarity(row, other) <= upper[row, other]


def test_few_axes_are_taken_where_few_hold_the_vectors_and_all_where_none_stand_out():
    random = np.random.default_rng(1)
    steep = random.standard_normal((2100, 64)) / np.arange(1, 65)
    assert space_of(steep.astype(np.float32), "cosine", 0.95).left.shape[1] == 17
    flat = random.standard_normal((2100, 64)).astype(np.float32)
    flat[:, 0] += 30
    assert space_of(flat, "cosine", 0.9).certain


def test_equal_vectors_have_exactly_one():
    vectors = np.random.default_rng(0).standard_normal((50, 384)).astype(np.float32)
    for metric in ("cosine", "euclidean"):
        space = space_of(np.concatenate([vectors, vectors]), metric, 1.0)
        found = pairs_above(space, 1.0).pairs
        assert (found.left - found.right).tolist() == [50] * 50
        assert (found.similarity == 1.0).all()


def test_similarities_do_not_depend_on_the_order_of_the_rows():
    random = np.random.default_rng(2)
    vectors = spectra(2500, 32)["families"].astype(np.float32)
    order = random.permutation(2500)
    found = pairs_above(space_of(vectors, "cosine", 0.8), 0.8).pairs
    shuffled = pairs_above(space_of(vectors[order], "cosine", 0.8), 0.8).pairs
    left, right = order[shuffled.left], order[shuffled.right]
    one = sorted(zip(found.left.tolist(), found.right.tolist(), found.similarity.tolist(), strict=True))
    rows = zip(np.maximum(left, right).tolist(), np.minimum(left, right).tolist(), shuffled.similarity, strict=True)
    assert one == sorted(rows)
    assert len(one) > 5000


def test_too_many_pairs_are_refused_with_advice():
    same = np.ones((60, 8), np.float32)
    with pytest.raises(ConfigError, match=r"more than 1,000 pairs.*raise the threshold"):
        pairs_above(space_of(same, "cosine", 0.9), 0.9, max_pairs=1000)


def test_rows_with_a_similar_row_are_those_of_the_pairs(monkeypatch):
    monkeypatch.setattr("steps.dedup.nearest.TILE_ROWS", 128)
    vectors = spectra(500, 24)["families"].astype(np.float32)
    space = space_of(vectors, "cosine", 0.95)
    pairs = pairs_above(space, 0.95).pairs
    touched = touched_rows(space, [np.arange(500)], 0.95)
    assert set(np.flatnonzero(touched)) == {*pairs.left.tolist(), *pairs.right.tolist()}
    assert 20 < touched.sum() < 480
    halves = touched_rows(space, [np.arange(0, 500, 2), np.arange(1, 500, 2)], 0.95)
    same = pairs.left % 2 == pairs.right % 2
    assert set(np.flatnonzero(halves)) == {*pairs.left[same].tolist(), *pairs.right[same].tolist()}
