"""Candidates by an exact join: rows that share one of their rarest shingles."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from steps.dedup.candidates import PIECES_PER_THREAD, Buckets, Workers, grouped, rank_bits
from steps.dedup.segments import Integers, Segments, tasks

#: Bytes of text per counter: a word and its separator take about six, so that most counters have one shingle.
BYTES_PER_COUNTER = 3
MIN_COUNTERS = 1 << 16


def prefixes_in_common(
    segments: list[Segments], n: int, shingle_words: int, threshold: float, workers: Workers
) -> Buckets:
    """Return the buckets of rows that share a shingle of their prefixes: no pair at the threshold is missed.

    Args:
        segments: The documents.
        n: How many documents there are.
        shingle_words: Words of a shingle.
        threshold: Least Jaccard similarity of a duplicate.
        workers: Threads.
    """
    from steps.kernels.characters import characters
    from steps.kernels.minhash import LANES
    from steps.kernels.prefixes import prefix_keys

    kinds, lower = characters()
    frequencies, counts = _frequencies(segments, n, shingle_words, workers)

    def work(task: tuple[Segments, Integers]) -> npt.NDArray[np.uint64]:
        each, rows = task
        room = 32 * len(rows)
        while True:
            keys = np.empty(room, np.uint64)
            written = prefix_keys(
                *each.kernel_arguments, rows, kinds, lower, shingle_words, frequencies, threshold, rank_bits(n), keys
            )
            if written <= room:
                return keys[:written].copy()
            room = written

    keys = np.concatenate(
        [np.zeros(0, np.uint64), *workers.map(work, tasks(segments, None, PIECES_PER_THREAD * workers.n))]
    )
    keys.sort()
    bounds, members, n_buckets = grouped([keys], rank_bits(n), n)
    return Buckets(bounds, members, n_buckets, counts, np.zeros((0, LANES), np.uint8), 0)


def _frequencies(
    segments: list[Segments], n: int, shingle_words: int, workers: Workers
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Return the counters of all shingles, and the number of distinct ones by rank."""
    from steps.kernels.characters import characters
    from steps.kernels.prefixes import count_shingles

    kinds, lower = characters()
    size = MIN_COUNTERS
    while size < sum(int(each.sizes.sum()) for each in segments) / BYTES_PER_COUNTER:
        size *= 2
    counts = np.zeros(n, np.int64)

    def work(part: list[tuple[Segments, Integers]]) -> npt.NDArray[np.uint8]:
        frequencies = np.zeros(size, np.uint8)
        for each, rows in part:
            count_shingles(*each.kernel_arguments, rows, kinds, lower, shingle_words, frequencies, counts)
        return frequencies

    pieces = tasks(segments, None, workers.n)
    total, *others = workers.map(work, [pieces[i :: workers.n] for i in range(workers.n)])
    for other in others:
        # A sum that passes 255 stops there, so that the number of threads changes nothing.
        summed = total + other
        summed[summed < other] = 255
        total = summed
    return total, counts
