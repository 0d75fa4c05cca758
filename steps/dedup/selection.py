"""Greedy selection: each dropped row has a kept row that it duplicates, and no two kept rows are duplicates.

Rows come best first. A row is compared with the rows kept so far only, so that likeness is never passed on along a
chain: when B is like A and C is like B but not like A, C stays.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, overload

import numpy as np
import numpy.typing as npt

#: Pairs shown on each list of the report.
N_SHOWN = 20


class Match(NamedTuple):
    """Two rows and their similarity. `veto` says why they do not count as duplicates although they are alike."""

    row: int
    other: int
    similarity: float
    veto: str | None = None


class Pairs(Sequence[Match]):
    """Matches as columns: millions of them take 24 bytes each, and a `Match` is made only where one is read.

    Attributes:
        row: Rank of the dropped row, int64.
        other: Rank of its survivor, int64; below zero the complement of a place in the ids of an index.
        similarity: float64.
    """

    def __init__(self, row: npt.ArrayLike, other: npt.ArrayLike, similarity: npt.ArrayLike) -> None:
        self.row = np.asarray(row, np.int64)
        self.other = np.asarray(other, np.int64)
        self.similarity = np.asarray(similarity, np.float64)

    @classmethod
    def of(cls, matches: Sequence[Match]) -> Pairs:
        """Return matches as columns, whatever sequence they come in."""
        if isinstance(matches, Pairs):
            return matches
        return cls(*(np.array([match[i] for match in matches]) for i in range(3)))

    def __len__(self) -> int:
        return len(self.row)

    @overload
    def __getitem__(self, index: int) -> Match: ...
    @overload
    def __getitem__(self, index: slice) -> list[Match]: ...
    def __getitem__(self, index: int | slice) -> Match | list[Match]:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        return Match(int(self.row[index]), int(self.other[index]), float(self.similarity[index]))

    def __iter__(self) -> Iterator[Match]:
        return map(Match, self.row.tolist(), self.other.tolist(), self.similarity.tolist())

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]


class Matches(NamedTuple):
    """What a method found. Row numbers are ranks: 0 is the best row.

    Attributes:
        duplicates: Each dropped row, once, with its survivor.
        borderline: The pairs nearest the threshold, on both sides.
        vetoed: The most alike of the pairs that a guard kept apart.
        n_vetoed: How many pairs a guard kept apart.
        earlier: Ids and excerpts of the rows of an earlier corpus: a match whose `other` is below zero is with row
            `~other` of these.
        detail: What else the method reports, as plain values.
    """

    duplicates: Sequence[Match]
    borderline: Sequence[Match] = ()
    vetoed: Sequence[Match] = ()
    n_vetoed: int = 0
    earlier: Sequence[tuple[str, str]] = ()
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
