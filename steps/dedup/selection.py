"""Greedy selection: each dropped row has a kept row that it duplicates, and no two kept rows are duplicates.

Rows come best first. A row is compared with the rows kept so far only, so that likeness is never passed on along a
chain: when B is like A and C is like B but not like A, C stays.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

#: Pairs shown on each list of the report.
N_SHOWN = 20


class Match(NamedTuple):
    """Two rows and their similarity. `veto` says why they do not count as duplicates although they are alike."""

    row: int
    other: int
    similarity: float
    veto: str | None = None


class Matches(NamedTuple):
    """What a method found. Row numbers are ranks: 0 is the best row.

    Attributes:
        duplicates: Each dropped row, once, with its survivor.
        borderline: The pairs nearest the threshold, on both sides.
        vetoed: The most alike of the pairs that a guard kept apart.
        n_vetoed: How many pairs a guard kept apart.
        detail: What else the method reports, as plain values.
    """

    duplicates: list[Match]
    borderline: Sequence[Match] = ()
    vetoed: Sequence[Match] = ()
    n_vetoed: int = 0
    detail: Mapping[str, Any] = MappingProxyType({})


class Selection:
    """Decides row by row, best first, and remembers why."""

    def __init__(self, threshold: float, veto: Callable[[int, int], str | None]) -> None:
        self._threshold = threshold
        self._veto = veto
        self._duplicates: list[Match] = []
        self._borderline: list[tuple[float, Match]] = []
        self._vetoed: list[tuple[float, Match]] = []
        self._n_vetoed = 0

    def keeps(self, row: int, candidates: Iterable[tuple[int, float]]) -> bool:
        """Return whether a row is kept, given its similarity to kept rows.

        Args:
            row: Rank of the row.
            candidates: Rank of a kept row, and its similarity; those below the threshold only inform the report.
        """
        for other, similarity in sorted(candidates, key=lambda candidate: (-candidate[1], candidate[0])):
            match = Match(row, other, similarity)
            if similarity >= self._threshold:
                veto = self._veto(row, other)
                if veto is not None:
                    self._n_vetoed += 1
                    self._remember(self._vetoed, similarity, match._replace(veto=veto))
                    continue
            self._remember(self._borderline, -abs(similarity - self._threshold), match)
            if similarity >= self._threshold:
                self._duplicates.append(match)
                return False
        return True

    def matches(self) -> Matches:
        """Return what was found."""
        borderline = [match for _, match in sorted(self._borderline, reverse=True)]
        vetoed = [match for _, match in sorted(self._vetoed, reverse=True)]
        return Matches(self._duplicates, borderline, vetoed, self._n_vetoed)

    @staticmethod
    def _remember(heap: list[tuple[float, Match]], weight: float, match: Match) -> None:
        if len(heap) < N_SHOWN:
            heapq.heappush(heap, (weight, match))
        else:
            heapq.heappushpop(heap, (weight, match))
