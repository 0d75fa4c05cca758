"""One join of vectors, in a process of its own: `python -m benchmarks.semantic_joins NAME VECTORS PAIRS`.

The vectors and the pairs are `.npy` files; a pair of rows `a < b` is written as the number `a * n + b`. Prints a line
of JSON. Only numpy is imported at the top, since a peer runs this file in its own environment.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

THRESHOLD = 0.9
BLOCK_ROWS = 2048

Vectors = npt.NDArray[np.float32]
#: Left and right rows of pairs, or None and the dropped rows.
Found = tuple[npt.NDArray[np.int64] | None, npt.NDArray[np.int64]]


def blocked_product(vectors: Vectors) -> Found:
    """The product of all columns, lower half, block by block."""
    left, right = [], []
    for start in range(0, len(vectors), BLOCK_ROWS):
        for other in range(0, start + 1, BLOCK_ROWS):
            block = vectors[start : start + BLOCK_ROWS] @ vectors[other : other + BLOCK_ROWS].T
            i, j = np.nonzero(block >= THRESHOLD)
            keep = i + start > j + other
            left.append(i[keep] + start)
            right.append(j[keep] + other)
    return np.concatenate(left), np.concatenate(right)


def bounded_pairs(vectors: Vectors) -> Found:
    """Our exact join: all pairs."""
    from steps.dedup.nearest import pairs_above, space_of

    pairs = pairs_above(space_of(vectors, "cosine", THRESHOLD), THRESHOLD).pairs
    return pairs.left, pairs.right


def bounded_selection(vectors: Vectors) -> Found:
    """Our exact join as the stage runs it: greedy selection, with the pairs near the threshold."""
    from steps.dedup.greedy import select
    from steps.dedup.marks import Marks
    from steps.dedup.nearest import space_of

    space = space_of(vectors, "cosine", THRESHOLD)
    chosen = select(space, np.arange(len(vectors)), Marks.none(len(vectors)), THRESHOLD)
    return None, np.array([pair.row for pair in chosen.duplicates])


def cells(vectors: Vectors) -> Found:
    """SemDeDup's cells: k-means, then all pairs within each."""
    from steps.dedup.cells import Cells, CellsJoin
    from steps.dedup.nearest import space_of

    found = Cells(space_of(vectors, "cosine", THRESHOLD), CellsJoin())
    left, right = [], []
    for members in found.members():
        for start in range(0, len(members), BLOCK_ROWS):
            block = vectors[members[start : start + BLOCK_ROWS]] @ vectors[members].T
            i, j = np.nonzero(block >= THRESHOLD)
            keep = i + start > j
            left.append(members[i[keep] + start])
            right.append(members[j[keep]])
    return np.concatenate(left), np.concatenate(right)


def sklearn_brute(vectors: Vectors) -> Found:
    """scikit-learn's brute-force radius search."""
    from sklearn.neighbors import NearestNeighbors

    radius = np.sqrt(2 - 2 * THRESHOLD) + 1e-6
    index = NearestNeighbors(radius=radius, algorithm="brute", metric="euclidean", n_jobs=1).fit(vectors)
    near = index.radius_neighbors(vectors, return_distance=False)
    left, right = np.repeat(np.arange(len(vectors)), [len(row) for row in near]), np.concatenate(near)
    return left[left > right], right[left > right]


def semhash(vectors: Vectors) -> Found:
    """SemHash with its default index (usearch)."""
    from semhash import SemHash

    class NoModel:
        def encode(self, inputs: Any, **_: Any) -> Any:
            raise NotImplementedError

    records = [str(row) for row in range(len(vectors))]
    index = SemHash.from_embeddings(vectors, records, model=NoModel())
    result = index.self_deduplicate(threshold=THRESHOLD)
    return None, np.array([int(duplicate.record) for duplicate in result.filtered])


JOINS: dict[str, Callable[[Vectors], Found]] = {
    "blocked product": blocked_product,
    "projection bound": bounded_pairs,
    "projection bound, greedy": bounded_selection,
    "k-means cells": cells,
    "scikit-learn brute": sklearn_brute,
}
PEERS: dict[str, Callable[[Vectors], Found]] = {"semhash": semhash}


def run_join(name: str, vectors: Vectors) -> tuple[float, Found]:
    """Return the CPU seconds and the pairs of a join; a first run on few rows loads and compiles what it needs."""
    join = (JOINS | PEERS)[name]
    join(vectors[:3000])
    start = time.process_time()
    found = join(vectors)
    return time.process_time() - start, found


if __name__ == "__main__":
    name, source, target = sys.argv[1:]
    vectors = np.load(source)
    cpu_s, (left, right) = run_join(name, vectors)
    keys = right if left is None else np.minimum(left, right) * len(vectors) + np.maximum(left, right)
    np.save(target, keys)
    kind = "dropped rows" if left is None else "pairs"
    print(json.dumps({"cpu_s": cpu_s, "found": len(keys), "kind": kind}))
