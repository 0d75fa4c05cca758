"""The greedy rule over pairs that are all known: what the engine finds without knowing them, to measure it by.

`id` is the rank of a document, int64: 0 is the row that is kept before all others.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

VERIFIED = pa.schema([("id", pa.int64()), ("other", pa.int64()), ("similarity", pa.float64())])


def select(edges: pa.Table) -> pa.Table:
    """Drop rows greedily, best first: a row goes when a row that stays is like it.

    Args:
        edges: Schema `VERIFIED`, each pair once, `id` the worse of the two; all pairs that are alike.

    Returns:
        Schema `VERIFIED`: each dropped row once, with the most similar row that stays (of equals, the best).
    """
    from steps.kernels.join import select_greedily

    left, right = edges["id"].to_numpy(), edges["other"].to_numpy()
    similarity = edges["similarity"].to_numpy()
    order = np.lexsort((right, -similarity, left))
    left, right, similarity = left[order], right[order], similarity[order]
    ids, numbers = np.unique(np.concatenate([left, right]), return_inverse=True)
    chosen = np.full(len(ids), -1, np.int64)
    select_greedily(numbers[: len(left)], numbers[len(left) :], chosen)
    dropped: npt.NDArray[np.int64] = np.flatnonzero(chosen >= 0)
    edge = chosen[dropped]
    return pa.table([ids[dropped], right[edge], similarity[edge]], schema=VERIFIED)
