"""Split groups: rows that must stand on the same side of every split."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def merge_groups(group_ids: Sequence[str], pairs: Iterable[tuple[int, int]]) -> list[str]:
    """Return the group of each row after the groups of each pair of rows are merged.

    All rows of both groups follow, not only the pair: a document whose copy was dropped has other rows, and they
    would leak if they stayed behind. The merged group takes the smallest id, so that no order matters.

    Args:
        group_ids: Group of each row.
        pairs: Positions of two rows that are duplicates.

    >>> merge_groups(["doc-b", "doc-a", "doc-b", "doc-c"], [(0, 1)])
    ['doc-a', 'doc-a', 'doc-a', 'doc-c']
    """
    parent = {group: group for group in group_ids}

    def root(group: str) -> str:
        while parent[group] != group:
            parent[group] = parent[parent[group]]
            group = parent[group]
        return group

    for left, right in pairs:
        first, second = sorted((root(group_ids[left]), root(group_ids[right])))
        parent[second] = first
    return [root(group) for group in group_ids]
