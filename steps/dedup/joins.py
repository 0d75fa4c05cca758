"""The ways to join rows: each selects survivors, and says which share of the similar pairs it could see."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from steps.dedup.calibration import Neighbours, recall_of
from steps.dedup.cells import Cells, CellsJoin, groups_of
from steps.dedup.greedy import Pair, select
from steps.dedup.linkage import DbscanJoin, HierarchicalJoin, dbscan_labels, hierarchical_labels
from steps.dedup.marks import Marks
from steps.dedup.nearest import Joined, Pairs, Space, pairs_above, touched_rows
from steps.dedup.recheck import CrossEncoder
from steps.dedup.selection import N_SHOWN
from steps.dedup.survivors import Near, by_nearness, near_by_pairs, near_in_cluster, resolve

if TYPE_CHECKING:
    from steps.dedup.semantic import SemanticSettings


class Found(NamedTuple):
    """A selection, by position.

    Attributes:
        duplicates: Each dropped row with its survivor.
        below: Pairs just below the threshold.
        vetoed: The most similar pairs that a guard kept apart.
        n_vetoed: How many pairs a guard kept apart.
        refused: Pairs that the cross-encoder kept apart, with its score.
        recall: Share of the pairs at or above the threshold that the join brings together, on a sample; None where
            the sample has no such pair.
    """

    duplicates: list[Pair]
    below: list[Pair]
    vetoed: list[Pair]
    n_vetoed: int
    refused: list[tuple[Pair, float]]
    recall: float | None


#: Returns the guard's marks, given which rows will be compared.
MarksOf = Callable[[npt.NDArray[np.bool_]], Marks]


def survivors_of(
    space: Space, marks_for: MarksOf, settings: SemanticSettings, recheck: CrossEncoder | None, sample: Neighbours
) -> Found:
    """Select survivors among rows, best first, by the join that the settings name.

    Reading numbers and names from a text takes longer than joining its vector, so the rows with a similar one are
    found first, and only those are read.

    Args:
        space: The vectors.
        marks_for: The guard.
        settings: Join, threshold and representative.
        recheck: The cross-encoder; None trusts the vectors.
        sample: Neighbours of some rows, which the recall is measured on.
    """
    if isinstance(settings.join, CellsJoin):
        cells = Cells(space, settings.join)
        marks = marks_for(touched_rows(space, cells.members(), settings.threshold))
        return _in_cells(space, marks, settings, recheck, (sample, cells))
    marks = marks_for(touched_rows(space, [np.arange(space.n)], settings.threshold))
    if isinstance(settings.join, DbscanJoin | HierarchicalJoin):
        return _in_clusters(space, marks, settings, recheck, sample)
    if recheck is None:
        return Found(*select(space, np.arange(space.n), marks, settings.threshold), refused=[], recall=1.0)
    joined = pairs_above(space, settings.threshold, marks)
    near = near_by_pairs(joined.pairs, space.n)
    return _listed([range(space.n)], near, joined, recheck, sample)._replace(recall=1.0)


def _in_cells(
    space: Space,
    marks: Marks,
    settings: SemanticSettings,
    recheck: CrossEncoder | None,
    chosen: tuple[Neighbours, Cells],
) -> Found:
    sample, cells = chosen
    recall = recall_of(sample, cells.labels)
    clusters = [by_nearness(members, cells.nearness[members], settings.representative) for members in cells.members()]
    if recheck is not None:
        joined = pairs_above(space, settings.threshold, marks)
        same = cells.labels[joined.pairs.left] == cells.labels[joined.pairs.right]
        pairs = Pairs(*(part[same] for part in joined.pairs))
        return _listed(clusters, near_by_pairs(pairs, space.n), joined, recheck, sample)._replace(recall=recall)
    parts = [select(space, np.asarray(members, np.int64), marks, settings.threshold) for members in clusters]
    return Found(
        [pair for part in parts for pair in part.duplicates],
        sorted((pair for part in parts for pair in part.below), reverse=True)[:N_SHOWN],
        sorted((pair for part in parts for pair in part.vetoed), reverse=True)[:N_SHOWN],
        sum(part.n_vetoed for part in parts),
        [],
        recall,
    )


def _in_clusters(
    space: Space, marks: Marks, settings: SemanticSettings, recheck: CrossEncoder | None, sample: Neighbours
) -> Found:
    joined = pairs_above(space, settings.threshold, marks)
    if isinstance(settings.join, DbscanJoin):
        labels = dbscan_labels(space.n, joined.pairs, settings.join)
    elif isinstance(settings.join, HierarchicalJoin):
        labels = hierarchical_labels(space, joined.pairs, settings.threshold, settings.join)
    clusters = []
    for members in groups_of(labels):
        scaled = space.scaled(members)
        nearness = -np.square(scaled - scaled.mean(axis=0)).sum(axis=1)
        clusters.append(by_nearness(members, nearness, settings.representative))
    found = _listed(clusters, near_in_cluster(space, marks), joined, recheck, sample)
    return found._replace(recall=recall_of(sample, labels))


def _listed(
    clusters: Sequence[Sequence[int]], near: Near, joined: Joined, recheck: CrossEncoder | None, sample: Neighbours
) -> Found:
    """Select from listed pairs; the sample stands for the pairs below the threshold, which no list holds."""
    resolved = resolve(clusters, near, recheck)
    rows, others, values = (part.tolist() for part in joined.vetoed)
    vetoed = [Pair(*entry) for entry in zip(values, rows, others, strict=True)]
    vetoed.sort(key=lambda pair: (-pair.similarity, pair.row, pair.other))
    return Found(resolved.duplicates, sample.below, vetoed[:N_SHOWN], joined.n_vetoed, resolved.refused, None)
