"""Selection from a list of pairs: for clusters, and where a cross-encoder has a say."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from steps.dedup.greedy import Pair
from steps.dedup.marks import Marks
from steps.dedup.nearest import Pairs, Positions, Space
from steps.dedup.recheck import CrossEncoder

#: Yields the kept rows that a row may fall to, the most similar first. Kept rows are given with their turn.
Near = Callable[[int, Mapping[int, int]], Iterator[Pair]]


class Resolved(NamedTuple):
    """What a selection from clusters found.

    Attributes:
        duplicates: Each dropped row with the most similar kept row of its cluster that nothing keeps it apart from.
        refused: Pairs that the cross-encoder kept apart, with its score.
    """

    duplicates: list[Pair]
    refused: list[tuple[Pair, float]]


def resolve(clusters: Sequence[Sequence[int]], near: Near, recheck: CrossEncoder | None) -> Resolved:
    """Keep of each cluster the first row, and every row that nothing kept in its cluster may stand for.

    The cross-encoder scores in large batches: a pass takes for granted that it agrees, what it was not asked about yet
    is scored, and passes are repeated until one needs nothing new. The result is that of asking pair by pair.

    Args:
        clusters: Positions of the rows of each cluster, the survivor first.
        near: What a row may fall to.
        recheck: The cross-encoder; None accepts all pairs.
    """
    while True:
        resolved = Resolved([], [])
        unknown: list[tuple[int, int]] = []
        for members in clusters:
            kept: dict[int, int] = {}
            for row in members:
                pair = _survivor(near(row, kept), recheck, resolved.refused, unknown)
                if pair is None:
                    kept[row] = len(kept)
                else:
                    resolved.duplicates.append(pair)
        if recheck is None or not unknown:
            return resolved
        recheck.score(unknown)


def _survivor(
    candidates: Iterator[Pair],
    recheck: CrossEncoder | None,
    refused: list[tuple[Pair, float]],
    unknown: list[tuple[int, int]],
) -> Pair | None:
    for pair in candidates:
        if recheck is None:
            return pair
        score = recheck.known(pair.row, pair.other)
        if score is None:
            unknown.append((pair.row, pair.other))
            return pair
        if score >= recheck.threshold:
            return pair
        refused.append((pair, score))
    return None


def near_by_pairs(pairs: Pairs, n: int) -> Near:
    """Return which kept rows a row has a listed pair with."""
    rows = np.concatenate([pairs.left, pairs.right])
    others = np.concatenate([pairs.right, pairs.left])
    values = np.concatenate([pairs.similarity, pairs.similarity])
    order = np.lexsort((others, -values, rows))
    others, values = others[order], values[order]
    starts = np.searchsorted(rows[order], np.arange(n + 1))

    def near(row: int, kept: Mapping[int, int]) -> Iterator[Pair]:
        span = slice(starts[row], starts[row + 1])
        for other, value in zip(others[span].tolist(), values[span].tolist(), strict=True):
            if other in kept:
                yield Pair(value, row, other)

    return near


def near_in_cluster(space: Space, marks: Marks) -> Near:
    """Return which kept rows of its cluster no guard keeps a row apart from, however similar they are."""
    from steps.kernels.projection import apart

    def near(row: int, kept: Mapping[int, int]) -> Iterator[Pair]:
        pairs = [Pair(space.similarity(row, other), row, other) for other in kept if not apart(marks, row, other)]
        yield from sorted(pairs, key=lambda pair: (-pair.similarity, kept[pair.other]))

    return near


def by_nearness(members: Positions, nearness: npt.NDArray[np.floating], representative: str) -> list[int]:
    """Return a cluster's rows, the representative first; equally near ones by rank.

    Args:
        members: Positions, which are ranks: the best row is the smallest.
        nearness: Similarity of each member to the cluster's centre.
        representative: `best`, `central` or `outlying`.
    """
    if representative == "best":
        return sorted(members.tolist())
    sign = -1 if representative == "central" else 1
    order = np.lexsort((members, sign * np.round(nearness.astype(np.float64), 6)))
    return [int(row) for row in members[order]]
