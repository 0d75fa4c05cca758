"""The report of a deduplication: what a reader checks before trusting it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from steps.dedup.selection import Match, Matches, Pairs
from steps.tables import take_rows

#: Clusters listed in the report, members shown of each, and characters shown of a row.
N_LARGEST = 10
N_MEMBERS = 4
EXCERPT_CHARACTERS = 160


class Rows:
    """The rows that a report speaks about, best row first; a text is read only when it is shown."""

    def __init__(
        self, examples: pa.Table, order: npt.NDArray[np.int64], earlier: Sequence[tuple[str, str]] = ()
    ) -> None:
        """Take the rows of a table of schema `EXAMPLES`.

        Args:
            examples: The table.
            order: Positions of its rows, best first.
            earlier: Ids and excerpts of the rows of an earlier corpus, which have ranks below zero.
        """
        self._ids = examples["id"]
        self._messages = examples["messages"]
        self._order = order
        self._earlier = earlier

    def __len__(self) -> int:
        return len(self._order)

    def id(self, rank: int) -> str:
        """Return the id of a row."""
        return self._earlier[~rank][0] if rank < 0 else str(self._ids[int(self._order[rank])].as_py())

    def ids(self, ranks: npt.NDArray[np.int64]) -> pa.Array | pa.ChunkedArray:
        """Return the ids of many rows."""
        inside = ranks >= 0
        places = self._order[ranks[inside]]
        own = take_rows(pa.table([self._ids], names=["id"]), places)["id"]
        if inside.all():
            return own
        earlier = pa.array([self._earlier[place][0] for place in ~ranks[~inside]], pa.string())
        back = np.argsort(np.concatenate([np.flatnonzero(inside), np.flatnonzero(~inside)]), kind="stable")
        return pa.chunked_array([*own.chunks, earlier], pa.string()).take(pa.array(back))

    def excerpt(self, rank: int) -> str:
        """Return the beginning of a row's text."""
        if rank < 0:
            return self._earlier[~rank][1]
        return excerpt(self._messages[int(self._order[rank])].as_py())


def excerpt(messages: Sequence[Mapping[str, str]]) -> str:
    """Return the beginning of a conversation on one line."""
    text = " ".join(" → ".join(turn["content"] for turn in messages if turn["role"] != "system").split())
    return text if len(text) <= EXCERPT_CHARACTERS else text[: EXCERPT_CHARACTERS - 1] + "…"


def report_of(method: str, rows: Rows, matches: Matches, threshold: float | None) -> dict[str, Any]:
    """Return a JSON report.

    Args:
        method: Name of the method.
        rows: All rows, best first.
        matches: What the method found among them.
        threshold: Its threshold; None when it has none or is off.

    Returns:
        `n_rows, n_dropped, n_clusters, threshold, largest` (clusters of survivor, size and the least alike members),
        `borderline` (pairs nearest the threshold), `vetoed` (pairs that a guard kept apart), `n_vetoed`, `detail` (of
        the method).
    """
    pairs = Pairs.of(matches.duplicates)
    survivors, sizes = np.unique(pairs.other, return_counts=True)
    largest = np.lexsort((survivors, -sizes))[:N_LARGEST]
    return {
        "method": method,
        "threshold": threshold,
        "n_rows": len(rows),
        "n_dropped": len(pairs),
        "n_clusters": len(survivors),
        "largest": [_cluster(rows, pairs, int(survivors[i]), int(sizes[i])) for i in largest],
        "borderline": [_pair(rows, match, threshold) for match in matches.borderline],
        "n_vetoed": matches.n_vetoed,
        "vetoed": [_pair(rows, match, threshold) for match in matches.vetoed],
        "detail": dict(matches.detail),
    }


def _cluster(rows: Rows, pairs: Pairs, survivor: int, dropped: int) -> dict[str, Any]:
    members = np.flatnonzero(pairs.other == survivor)
    shown = members[np.lexsort((pairs.row[members], pairs.similarity[members]))][:N_MEMBERS]
    return {
        "survivor_id": rows.id(survivor),
        "size": dropped + 1,
        "excerpt": rows.excerpt(survivor),
        "members": [
            {"id": rows.id(match.row), "similarity": round(match.similarity, 4), "excerpt": rows.excerpt(match.row)}
            for match in (pairs[int(i)] for i in shown)
        ],
    }


def _pair(rows: Rows, match: Match, threshold: float | None) -> dict[str, Any]:
    return {
        "row_id": rows.id(match.row),
        "other_id": rows.id(match.other),
        "similarity": round(match.similarity, 4),
        "dropped": match.veto is None and threshold is not None and match.similarity >= threshold,
        "veto": match.veto,
        "row": rows.excerpt(match.row),
        "other": rows.excerpt(match.other),
    }


def alarms(report: dict[str, Any], kept_groups: pa.ChunkedArray, max_fraction: float | None) -> list[str]:
    """Return one sentence per cluster or split group that holds too large a share of the rows.

    Args:
        report: Result of `report_of`.
        kept_groups: Group of each kept row.
        max_fraction: Largest share allowed; None raises no alarm.
    """
    found = list(report["detail"].get("warnings", []))
    if max_fraction is None or not report["n_rows"]:
        return found
    for cluster in report["largest"]:
        share = cluster["size"] / report["n_rows"]
        if cluster["size"] > 1 and share > max_fraction:
            found.append(
                f"the cluster of row {cluster['survivor_id']} holds {cluster['size']} of {report['n_rows']} rows "
                f"({share:.1%} > {max_fraction:.1%}): read it, and raise the threshold or drop the boilerplate"
            )
    group, size = _most_common(kept_groups)
    if size > 1 and size / len(kept_groups) > max_fraction and report["n_dropped"]:
        found.append(
            f"split group {group} holds {size} of {len(kept_groups)} kept rows ({size / len(kept_groups):.1%} > "
            f"{max_fraction:.1%}): it goes to one split as a whole"
        )
    return found


def _most_common(column: pa.ChunkedArray) -> tuple[str, int]:
    """Return the most frequent value of a column, the first in it of equals, and its number."""
    if not len(column):
        return "", 0
    counted = pc.value_counts(column)
    most = int(np.argmax(counted.field("counts").to_numpy()))
    return str(counted[most]["values"].as_py()), int(counted[most]["counts"].as_py())
