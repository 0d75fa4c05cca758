"""Exact joins of embeddings: a projection bounds each similarity, and only what the bound lets through is computed.

Rotated to its principal axes, a vector is a head of `k` coordinates and a rest of length `r`. By Cauchy and Schwarz,
`a · b <= head_a · head_b + r_a * r_b`: a product of `k + 1` columns bounds a product of all. The bound is rounded up
and its error in single precision is allowed for, so that no pair is lost: the join equals brute force.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from steps.dedup.marks import Marks
from steps.errors import ConfigError
from steps.progress import track

Metric = Literal["cosine", "euclidean"]
Vectors = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Positions = npt.NDArray[np.int64]

#: Rows of a tile of bounds: 1,024 by 1,024 in single precision are 4 MB.
TILE_ROWS = 1024
#: Rows from which the principal axes are computed, and rows whose pairs tell how many axes pay.
AXES_ROWS, TRIAL_ROWS = 20_000, 1024
#: Numbers of principal axes that are tried.
HEADS = (16, 24, 32, 48, 64, 96, 128, 192)
#: Cost of a pair's exact check, in columns of the bounding product. At 384 dimensions a check was measured at 77 ns,
#: and a column at 0.04 (129 columns) to 0.07 ns (65) a pair: 1,200 to 1,700. The higher value is a choice, not a fit:
#: it leans towards more axes, where a corpus has more similar pairs than the trial rows show.
CHECK_COLUMNS = 5000
#: Below this many rows one product of all columns is cheaper than finding axes.
MIN_ROWS = 2048
#: Pairs that a clustering may need; they take 24 bytes each.
MAX_PAIRS = 20_000_000


class Space(NamedTuple):
    """Vectors and what bounds their similarities.

    Attributes:
        vectors: Shape (rows, dimensions), float32.
        scale: Shape (rows,): factor of each row in the similarity; one over the length for the cosine.
        half: Shape (rows,): half the squared length for the Euclidean distance, else 0.
        offset: 0 for the cosine, 1 for the Euclidean distance.
        left: Shape (rows, columns), float32; the product with `right`, transposed, bounds the similarity less `offset`.
        right: As `left`; the same array for the cosine.
        slack: Greatest amount by which such a product may fall short of the true bound.
        certain: Whether all dimensions are in the head, so that the bound is the similarity.
    """

    vectors: Vectors
    scale: Floats
    half: Floats
    offset: float
    left: Vectors
    right: Vectors
    slack: float
    certain: bool

    @property
    def exact(self) -> tuple[Vectors, Floats, Floats, float]:
        """What the compiled check needs."""
        return self.vectors, self.scale, self.half, self.offset

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.vectors)

    def scaled(self, rows: slice | Positions) -> Vectors:
        """Return vectors of some rows; for the cosine, of unit length."""
        return self.vectors[rows] * self.scale[rows, None].astype(np.float32)

    def bounds(self, rows: slice | Positions, others: slice | Positions) -> Vectors:
        """Return the tile of bounds of some rows with others."""
        product: Vectors = self.left[rows] @ self.right[others].T
        if self.offset:
            product += np.float32(self.offset)
        return product

    def similarity(self, row: int, other: int) -> float:
        """Return the similarity of two rows, to seven decimals."""
        from steps.kernels.projection import similarity

        return float(similarity(*self.exact, row, other))


class Pairs(NamedTuple):
    """Pairs of rows and their similarity; `left` is always the later row.

    Attributes:
        left: Shape (pairs,), int64.
        right: Shape (pairs,), int64; smaller than `left`.
        similarity: Shape (pairs,), float64.
    """

    left: Positions
    right: Positions
    similarity: Floats


class Joined(NamedTuple):
    """All pairs at or above a threshold, and those among them that a guard kept apart.

    Attributes:
        pairs: The pairs that nothing keeps apart, sorted by row and earlier row.
        vetoed: Of each row the most similar pair that was kept apart.
        n_vetoed: How many pairs were.
    """

    pairs: Pairs
    vetoed: Pairs
    n_vetoed: int


def space_of(vectors: Vectors, metric: Metric, least: float) -> Space:
    """Prepare vectors for joins at a similarity of `least`.

    The number of principal axes is the one that costs least on a sample of evenly spaced rows; it changes the time
    taken and nothing else.

    Args:
        vectors: Shape (rows, dimensions).
        metric: `cosine`, or `euclidean` for one minus half the squared distance.
        least: Least similarity that will be asked for.
    """
    from steps.kernels.projection import lengths

    vectors = np.ascontiguousarray(vectors, np.float32)
    squared = np.zeros(len(vectors))
    lengths(vectors, squared)
    if metric == "cosine":
        norms = np.sqrt(squared)
        scale, half, offset = (
            np.divide(1.0, norms, out=np.zeros_like(norms), where=norms > 0),
            np.zeros(len(norms)),
            0.0,
        )
    else:
        scale, half, offset = np.ones(len(vectors)), squared / 2, 1.0
    exact = vectors, scale, half, offset
    if len(vectors) < MIN_ROWS:
        return _with_head(exact, None)
    axes = _axes(vectors, scale)
    trial = _evenly(len(vectors), TRIAL_ROWS)
    parts = vectors[trial], scale[trial], half[trial], offset
    costs = {}
    for head in HEADS:
        if head < vectors.shape[1]:
            few = _with_head(parts, axes[:, :head])
            passed = np.mean(few.bounds(slice(None), slice(None)) >= least - few.slack)
            # Each row passes with itself.
            costs[head] = head + max(0.0, float(passed) - 1 / len(trial)) * CHECK_COLUMNS
    best = min(costs, key=lambda head: costs[head], default=None)
    if best is None or costs[best] >= vectors.shape[1]:
        return _with_head(exact, None)
    return _with_head(exact, axes[:, :best])


def _evenly(n: int, wanted: int) -> Positions:
    return np.unique(np.linspace(0, n - 1, min(n, wanted)).astype(np.int64))


def _axes(vectors: Vectors, scale: Floats) -> Floats:
    """Return the principal axes (about the origin), shape (dimensions, dimensions), the widest first."""
    rows = _evenly(len(vectors), AXES_ROWS)
    sample = vectors[rows] * scale[rows, None].astype(np.float32)
    _, axes = np.linalg.eigh((sample.T @ sample).astype(np.float64))
    return np.ascontiguousarray(axes[:, ::-1])


def _with_head(exact: tuple[Vectors, Floats, Floats, float], axes: Floats | None) -> Space:
    """Return the space whose bound has the given axes; None takes the vectors as they are, without a rest."""
    vectors, scale, half, offset = exact
    width = vectors.shape[1] if axes is None else axes.shape[1]
    columns = width + (axes is not None)
    left = np.zeros((len(vectors), columns + 2 * (offset != 0)), np.float32)
    for start in range(0, len(vectors), AXES_ROWS):
        block = slice(start, start + AXES_ROWS)
        scaled = vectors[block].astype(np.float64) * scale[block, None]
        head = scaled if axes is None else scaled @ axes
        left[block, :width] = head
        if axes is not None:
            # The tiny term covers the cancellation, so that the rest is never too short.
            total = np.einsum("ij,ij->i", scaled, scaled)
            rest = np.maximum(0.0, total - np.einsum("ij,ij->i", head, head)) + 1e-12 * np.maximum(total, 1.0)
            left[block, width] = np.nextafter(np.sqrt(rest).astype(np.float32), np.float32(np.inf))
    right = left
    if offset:
        right = left.copy()
        left[:, columns], left[:, columns + 1] = -half, 1
        right[:, columns], right[:, columns + 1] = 1, -half
    slack = _slack(left, right)
    return Space(vectors, scale, half, offset, left, right, slack, certain=axes is None)


def _slack(left: Vectors, right: Vectors) -> float:
    """Return a bound of the rounding error of products of two rows in single precision.

    A sum of `m` products in any order errs by less than `m * u * |a| * |b|` with `u = 2^-24` (Higham 2002, "Accuracy
    and Stability of Numerical Algorithms", section 3.1); four more terms stand for the rounding of the entries and the
    offset, and the factor 1.5 for the second-order terms. The last term covers the rounding to seven decimals.
    """
    if not len(left):
        return 0.0
    longest = [float(np.sqrt(np.einsum("ij,ij->i", side, side, dtype=np.float64).max())) for side in (left, right)]
    return float(1.5 * (left.shape[1] + 4) * 2.0**-24 * max(1.0, longest[0] * longest[1]) + 1e-7)


def touched_rows(space: Space, groups: Sequence[Positions], least: float) -> npt.NDArray[np.bool_]:
    """Return which rows have another row of their group with a similarity of at least `least`, shape (rows,).

    Most rows have none, and nothing more needs to be known of those.
    """
    from steps.kernels.projection import touch_tile

    touched = np.zeros(space.n, np.bool_)
    for group in groups:
        for rows, others in tiles(len(group)):
            inside = rows.start == others.start
            upper = space.bounds(group[rows], group[others])
            touch_tile(upper, group[rows], group[others], inside, space.exact, least, space.slack, touched)
    return touched


def tiles(n: int) -> Iterator[tuple[slice, slice]]:
    """Yield the tiles on and below the diagonal of an n-by-n matrix."""
    for start in track(range(0, n, TILE_ROWS), "similar rows"):
        for other in range(0, start + 1, TILE_ROWS):
            yield slice(start, min(n, start + TILE_ROWS)), slice(other, min(n, other + TILE_ROWS))


def pairs_above(space: Space, least: float, marks: Marks | None = None, max_pairs: int = MAX_PAIRS) -> Joined:
    """Return all pairs of rows whose similarity is at least `least`.

    Args:
        space: The vectors.
        least: The threshold.
        marks: The guard's features of every row; None keeps no pair apart.
        max_pairs: Most pairs to hold.

    Raises:
        ConfigError: if there are more than `max_pairs`.
    """
    from steps.kernels.projection import collect_tile

    marks = marks or Marks.none(space.n)
    at = np.arange(space.n, dtype=np.int64)
    size = min(space.n, TILE_ROWS) ** 2
    out = np.zeros(size, np.int64), np.zeros(size, np.int64), np.zeros(size)
    veto, veto_other = np.full(space.n, -np.inf), np.full(space.n, -1, np.int64)
    found: list[tuple[Positions, Positions, Floats]] = []
    n_found = n_vetoed = 0
    for rows, others in tiles(space.n):
        upper, inside = space.bounds(rows, others), rows.start == others.start
        levels = least, space.slack
        n, n_apart = collect_tile(
            upper, at[rows], at[others], inside, space.exact, marks, *levels, out, veto, veto_other
        )
        n_found, n_vetoed = n_found + n, n_vetoed + n_apart
        if n_found > max_pairs:
            raise ConfigError(
                f"more than {max_pairs:,} pairs of rows are as similar as curation.dedup.semantic.threshold={least}: "
                "too many to cluster or to re-check; raise the threshold, or use join: {kind: exact} without recheck, "
                "which compares a row with kept rows only"
            )
        if n:
            found.append((out[0][:n].copy(), out[1][:n].copy(), out[2][:n].copy()))
    kept_apart = np.flatnonzero(veto_other >= 0)
    return Joined(_sorted(found), Pairs(kept_apart, veto_other[kept_apart], veto[kept_apart]), n_vetoed)


def _sorted(found: list[tuple[Positions, Positions, Floats]]) -> Pairs:
    if not found:
        return Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    left, right, similarity = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.lexsort((right, left))
    return Pairs(left[order], right[order], similarity[order])
