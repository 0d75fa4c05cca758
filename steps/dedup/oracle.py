"""All pairs of documents that are alike, without chance, and the greedy rule over them: what faster ways are held to.

`id` is the rank of a document, int64: 0 is the row that is kept before all others.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from steps.dedup.candidates import Workers, sets_of
from steps.dedup.documents import Documents, Key
from steps.dedup.prefixes import prefixes_in_common
from steps.dedup.segments import Integers

VERIFIED = pa.schema([("id", pa.int64()), ("other", pa.int64()), ("similarity", pa.float64())])
#: Pairs that are verified at a time.
BLOCK_PAIRS = 1 << 20


def similar_pairs(
    documents: Documents, threshold: float, shingle_words: int = 5, key: Key = "answer", threads: int = 1
) -> pa.Table:
    """Return every pair of documents whose shingle sets have at least a Jaccard similarity of `threshold`.

    A prefix filter proposes (`steps.kernels.prefixes`), and loses no pair; the sets themselves decide. The pairs of a
    cluster grow with its square, so this is for measuring and not for cleaning.

    Args:
        documents: The documents; those without words are like none.
        threshold: Least similarity, in (0, 1].
        shingle_words: Words of a shingle.
        key: The texts that are compared.
        threads: Threads.

    Returns:
        Columns `row` and `other` (ranks, `other < row`, sorted) and `similarity`.
    """
    from steps.kernels.join import similarities

    workers = Workers(threads)
    segments = documents.segments(key)
    buckets = prefixes_in_common(segments, len(documents), shingle_words, threshold, workers)
    places, sizes, sets = sets_of(segments, buckets.counts, buckets.candidates, shingle_words, workers)
    left, right = _pairs(buckets.bounds, buckets.members)
    found = np.empty(len(left), np.float64)
    blocks = [slice(start, start + BLOCK_PAIRS) for start in range(0, len(left), BLOCK_PAIRS)]
    workers.map(lambda at: similarities(left[at], right[at], places, sizes, sets, threshold, found[at]), blocks)
    alike = found >= threshold
    return pa.table({"row": left[alike], "other": right[alike], "similarity": found[alike]})


def _pairs(bounds: Integers, members: Integers) -> tuple[Integers, Integers]:
    """Return the distinct pairs of ranks that share a bucket, sorted, the larger rank first."""
    ranks = np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))
    order = np.argsort(members, kind="stable")
    ranks, bucket = ranks[order], members[order]
    codes = [np.zeros(0, np.int64)]
    step = 1
    while True:  # the pairs of members that stand `step` apart in a bucket, until no bucket is so large
        same = np.flatnonzero(bucket[step:] == bucket[:-step]) if step < len(bucket) else np.zeros(0, np.int64)
        if not len(same):
            break
        codes.append((ranks[same + step] << 32) | ranks[same])
        if step % 64 == 0:
            codes = [np.unique(np.concatenate(codes))]
        step += 1
    distinct = np.unique(np.concatenate(codes))
    return distinct >> 32, distinct & 0xFFFFFFFF


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
