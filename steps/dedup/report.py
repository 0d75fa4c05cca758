"""The report of a deduplication: what a reader checks before trusting it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from steps.dedup.selection import Match, Matches

#: Clusters listed in the report, and characters shown of a row.
N_LARGEST = 10
EXCERPT_CHARACTERS = 160


class Rows(NamedTuple):
    """The rows that a report speaks about: their ids and texts, best row first."""

    ids: list[str]
    excerpts: list[str]

    @classmethod
    def of(cls, examples: pa.Table, order: Sequence[int]) -> Rows:
        """Return the rows of a table of schema `EXAMPLES` in the given order."""
        ranked = examples.take(pa.array(order, pa.int64()))
        return cls(ranked["id"].to_pylist(), [_excerpt(messages) for messages in ranked["messages"].to_pylist()])


def _excerpt(messages: Sequence[dict[str, str]]) -> str:
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
        `n_rows, n_dropped, n_clusters, threshold, largest` (clusters of survivor and size), `borderline` (pairs
        nearest the threshold), `vetoed` (pairs that a guard kept apart), `n_vetoed`, `detail` (of the method).
    """
    sizes = Counter(match.other for match in matches.duplicates)
    largest = sorted(sizes.items(), key=lambda item: (-item[1], item[0]))[:N_LARGEST]
    return {
        "method": method,
        "threshold": threshold,
        "n_rows": len(rows.ids),
        "n_dropped": len(matches.duplicates),
        "n_clusters": len(sizes),
        "largest": [
            {"survivor_id": rows.ids[row], "size": dropped + 1, "excerpt": rows.excerpts[row]}
            for row, dropped in largest
        ],
        "borderline": [_pair(rows, match, threshold) for match in matches.borderline],
        "n_vetoed": matches.n_vetoed,
        "vetoed": [_pair(rows, match, threshold) for match in matches.vetoed],
        "detail": dict(matches.detail),
    }


def _pair(rows: Rows, match: Match, threshold: float | None) -> dict[str, Any]:
    return {
        "row_id": rows.ids[match.row],
        "other_id": rows.ids[match.other],
        "similarity": round(match.similarity, 4),
        "dropped": match.veto is None and threshold is not None and match.similarity >= threshold,
        "veto": match.veto,
        "row": rows.excerpts[match.row],
        "other": rows.excerpts[match.other],
    }


def alarms(report: dict[str, Any], kept_groups: Sequence[str], max_fraction: float | None) -> list[str]:
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
    group, size = Counter(kept_groups).most_common(1)[0] if kept_groups else ("", 0)
    if size > 1 and size / len(kept_groups) > max_fraction and report["n_dropped"]:
        found.append(
            f"split group {group} holds {size} of {len(kept_groups)} kept rows ({size / len(kept_groups):.1%} > "
            f"{max_fraction:.1%}): it goes to one split as a whole"
        )
    return found
