"""The join: rows that share a bucket are compared, best row first, with the rows kept so far."""

from __future__ import annotations

import numpy as np
from numba import njit

from steps.kernels.minhash import agreement
from steps.kernels.words import U

#: Pairs of each kind that the join remembers for the report; to keep them all would take the square of a cluster.
N_REMEMBERED = 20


@njit(cache=True, nogil=True)
def shared_buckets(keys, rank_bits, first_bucket, ranks, buckets):
    """List the rows of every key that several rows have.

    Args:
        keys: Sorted; the hash in the high bits, the rank in the low ones. A hash of zero is no key.
        rank_bits: Number of low bits.
        first_bucket: Number of the first bucket.
        ranks: Receives the rank of each entry; with a length of zero, entries are only counted.
        buckets: Receives the number of each entry's bucket.

    Returns:
        The number of entries and the number behind the last bucket.
    """
    entries = 0
    bucket = first_bucket
    low = (U(1) << U(rank_bits)) - U(1)
    n = keys.shape[0]
    i = 0
    while i < n:
        hashed = keys[i] >> U(rank_bits)
        j = i + 1
        while j < n and keys[j] >> U(rank_bits) == hashed:
            j += 1
        if j - i > 1 and hashed != 0:
            if ranks.shape[0]:
                for k in range(i, j):
                    ranks[entries + k - i] = keys[k] & low
                    buckets[entries + k - i] = bucket
            entries += j - i
            bucket += 1
        i = j
    return entries, bucket


@njit(cache=True, nogil=True)
def by_rank(ranks, buckets, bounds, out):
    """Sort the buckets of entries by rank: those of rank r come to `out[bounds[r]:bounds[r + 1]]`."""
    for rank in ranks:
        bounds[rank + 1] += 1
    for rank in range(bounds.shape[0] - 1):
        bounds[rank + 1] += bounds[rank]
    for i in range(ranks.shape[0]):
        out[bounds[ranks[i]]] = buckets[i]
        bounds[ranks[i]] += 1
    for rank in range(bounds.shape[0] - 1, 0, -1):
        bounds[rank] = bounds[rank - 1]
    bounds[0] = 0


@njit(cache=True, nogil=True)
def fill(table, sets, start, size):
    """Make a hash set of `sets[start:start + size]`; return the mask of its slots."""
    slots = 16
    while slots < 2 * size:
        slots *= 2
    mask = U(slots - 1)
    for slot in range(slots):
        table[slot] = 0
    for i in range(start, start + size):
        slot = sets[i] & mask
        while table[slot] != 0:
            slot = (slot + U(1)) & mask
        table[slot] = sets[i]
    return mask


@njit(cache=True, nogil=True)
def shared(table, mask, sets, start, size, least):
    """Return how many of `sets[start:start + size]` the hash set has, or -1 once it cannot reach `least`."""
    hits = 0
    for first in range(0, size, 32):
        if hits + size - first < least:
            return -1
        for i in range(start + first, start + min(first + 32, size)):
            slot = sets[i] & mask
            while table[slot] != 0 and table[slot] != sets[i]:
                slot = (slot + U(1)) & mask
            hits += table[slot] != 0
    return hits


@njit(cache=True, nogil=True)
def slots_for(sizes):
    """Return the slots of a table that holds the largest of some sets."""
    slots = 16
    for size in sizes:
        while slots < 2 * size:
            slots *= 2
    return slots


@njit(cache=True, nogil=True)
def similarities(left, right, places, sizes, sets, least, out):
    """Write the Jaccard similarity of each pair of ranks, or -1 where it is surely below `least`."""
    table = np.empty(slots_for(sizes), np.uint64)
    held = -1
    mask = U(0)
    for i in range(left.shape[0]):
        a, b = left[i], right[i]
        both = sizes[a] + sizes[b]
        out[i] = -1.0
        if min(sizes[a], sizes[b]) == 0 or min(sizes[a], sizes[b]) < least * max(sizes[a], sizes[b]) - 1e-6:
            continue
        if held != a:
            mask = fill(table, sets, places[a], sizes[a])
            held = a
        hits = shared(table, mask, sets, places[b], sizes[b], int(least / (1.0 + least) * both - 1e-6))
        if hits >= 0:
            out[i] = hits / (both - hits)


@njit(cache=True, nogil=True)
def remember(top, weight, row, other, similarity):
    """Keep a pair in a list of the heaviest, sorted; of equal weight, those of better rows come first.

    `top` has the shape (N_REMEMBERED, 4): weight, row, other, similarity; a row below zero marks a free place.
    """
    place = N_REMEMBERED
    while place > 0:
        before = place - 1
        if top[before, 1] >= 0 and (
            top[before, 0] > weight
            or (
                top[before, 0] == weight
                and (top[before, 1] < row or (top[before, 1] == row and top[before, 2] < other))
            )
        ):
            break
        if place < N_REMEMBERED:
            for i in range(4):
                top[place, i] = top[before, i]
        place = before
    if place < N_REMEMBERED:
        top[place, 0] = weight
        top[place, 1] = row
        top[place, 2] = other
        top[place, 3] = similarity


@njit(cache=True, nogil=True)
def nothing_remembered():
    """Return an empty list of pairs."""
    top = np.empty((N_REMEMBERED, 4), np.float64)
    for place in range(N_REMEMBERED):
        top[place, 1] = -1.0
    return top


@njit(cache=True, nogil=True)
def greedy(
    bounds, buckets, n_buckets, sketches, min_agreement, places, sizes, sets, threshold, border,
    answer_places, answer_sizes, answer_sets, min_answer_overlap, numbers, n_decreed, same_as,
):  # fmt: skip
    """Decide row by row, best first, which rows go; a row is compared only with kept rows that share a bucket.

    Args:
        bounds: Shape (rows + 1,): the buckets of rank r are `buckets[bounds[r]:bounds[r + 1]]`.
        buckets: Numbers of buckets.
        n_buckets: How many there are.
        sketches: Shape (rows, LANES), or (0, LANES) for none.
        min_agreement: Pairs whose sketches agree in fewer bytes are not verified.
        places: First shingle of each rank's set in `sets`.
        sizes: Number of its shingles.
        sets: Distinct shingles, uint64.
        threshold: Least similarity of duplicates.
        border: Pairs from this similarity on are reported.
        answer_places: As `places`, of the answers' word sets; shape (0,) when they are not compared.
        answer_sizes: As `sizes`.
        answer_sets: As `sets`.
        min_answer_overlap: Least similarity of the answers' word sets.
        numbers: Hash of each row's numbers, int64; shape (0,) when they are not compared.
        n_decreed: The first rows are kept unseen and not compared with one another: rows of an earlier corpus.
        same_as: Shape (rows,): the decreed row that a row is, and never a duplicate of; -1 for none. Or (0,).

    Returns:
        Survivor of each rank (-1: kept) and its similarity; of the pairs that were compared and reach `border`, those
        nearest the threshold and the most alike that a guard kept apart (see `remember`), and how many of the latter
        there are.
    """
    n = bounds.shape[0] - 1
    survivor, seen = np.empty(n, np.int64), np.empty(n, np.int64)
    best = np.empty(n, np.float64)
    for row in range(n):
        survivor[row] = seen[row] = -1
        best[row] = 0.0
    heads = np.empty(n_buckets, np.int64)
    for bucket in range(n_buckets):
        heads[bucket] = -1
    held, behind = np.empty(buckets.shape[0], np.int64), np.empty(buckets.shape[0], np.int64)
    n_held = 0
    table = np.empty(slots_for(sizes), np.uint64)
    answers = np.empty(slots_for(answer_sizes), np.uint64)
    nearest, apart = nothing_remembered(), nothing_remembered()
    n_apart = 0
    for row in range(n):
        if bounds[row] == bounds[row + 1] or sizes[row] == 0:
            continue
        filled = False
        filled_answers = False
        mask = U(0)
        answer_mask = U(0)
        if row >= n_decreed:
            for b in range(bounds[row], bounds[row + 1]):
                entry = heads[buckets[b]]
                while entry >= 0:
                    other = held[entry]
                    entry = behind[entry]
                    if seen[other] == row:
                        continue
                    seen[other] = row
                    if same_as.shape[0] and same_as[row] == other:
                        continue
                    small, large = min(sizes[row], sizes[other]), max(sizes[row], sizes[other])
                    if small < border * large - 1e-6:
                        continue
                    if sketches.shape[0] and agreement(sketches, row, other) < min_agreement:
                        continue
                    if not filled:
                        mask = fill(table, sets, places[row], sizes[row])
                        filled = True
                    least = int(border / (1.0 + border) * (small + large) - 1e-6)
                    hits = shared(table, mask, sets, places[other], sizes[other], least)
                    if hits < 0:
                        continue
                    similarity = hits / (small + large - hits)
                    if similarity < border:
                        continue
                    if similarity >= threshold:
                        vetoed = numbers.shape[0] > 0 and numbers[row] != numbers[other]
                        if not vetoed and answer_sizes.shape[0]:
                            if not filled_answers:
                                answer_mask = fill(answers, answer_sets, answer_places[row], answer_sizes[row])
                                filled_answers = True
                            ours, theirs = answer_sizes[row], answer_sizes[other]
                            both = shared(answers, answer_mask, answer_sets, answer_places[other], theirs, 0)
                            vetoed = ours + theirs > 0 and both / (ours + theirs - both) < min_answer_overlap
                        if vetoed:
                            n_apart += 1
                            remember(apart, similarity, row, other, similarity)
                            continue
                        if (
                            survivor[row] < 0
                            or similarity > best[row]
                            or (similarity == best[row] and other < survivor[row])
                        ):
                            survivor[row] = other
                            best[row] = similarity
                    remember(nearest, -abs(similarity - threshold), row, other, similarity)
        if survivor[row] < 0:
            for b in range(bounds[row], bounds[row + 1]):
                held[n_held] = row
                behind[n_held] = heads[buckets[b]]
                heads[buckets[b]] = n_held
                n_held += 1
    return survivor, best, nearest, apart, n_apart


@njit(cache=True, nogil=True)
def select_greedily(left, right, chosen):
    """Write, for each row that goes, the number of the edge to the row that it goes for.

    Edges are sorted by `left`, which is worse than `right`, and within it the wanted edge comes first. `chosen` is -1
    for every row at first.
    """
    for edge in range(left.shape[0]):
        if chosen[left[edge]] < 0 and chosen[right[edge]] < 0:
            chosen[left[edge]] = edge
