"""Deduplication of a table: rank the rows, let a method match them, drop, merge groups, report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, Literal, NamedTuple

import pyarrow as pa
from pydantic import Field

from steps.dedup.documents import Document, documents_of
from steps.dedup.embedding_cache import EmbeddingCache
from steps.dedup.exact import ExactSettings, exact_duplicates
from steps.dedup.groups import merge_groups
from steps.dedup.minhash import MinHashSettings, near_duplicates
from steps.dedup.report import Rows, alarms, report_of
from steps.dedup.selection import Matches
from steps.dedup.semantic import SemanticSettings, semantic_duplicates
from steps.errors import ConfigError
from steps.ledger import Drops, settle
from steps.settings import Settings

Method = Literal["exact", "minhash", "semantic"]
Keep = Literal["longest", "first", "best_score"]


class DedupReason(StrEnum):
    """Why a row was dropped."""

    EXACT = "exact_duplicate"
    NEAR = "near_duplicate"
    SEMANTIC = "semantic_duplicate"


REASONS: dict[Method, DedupReason] = {
    "exact": DedupReason.EXACT,
    "minhash": DedupReason.NEAR,
    "semantic": DedupReason.SEMANTIC,
}
METHODS: dict[Method, Callable[[Sequence[Document], Any], Matches]] = {
    "exact": exact_duplicates,
    "minhash": near_duplicates,
}


class DedupSettings(Settings):
    """The three methods, each off when null, and which row of a cluster survives."""

    exact: ExactSettings | None = ExactSettings()
    """Equal texts."""

    minhash: MinHashSettings | None = MinHashSettings()
    """Near-duplicates by shared word n-grams."""

    semantic: SemanticSettings | None = SemanticSettings()
    """The same said in other words."""

    keep: Keep = "longest"
    """Which row survives: the one with most characters, the first of the table, or the one with the best score."""

    max_cluster_fraction: float | None = Field(0.05, gt=0, le=1)
    """Share of the rows in one cluster, or in one split group, above which the report raises an alarm."""


class DedupResult(NamedTuple):
    """The outcome of a deduplication: the survivors with merged groups, the ledger, and a JSON report."""

    kept: pa.Table
    ledger: pa.Table
    report: dict[str, Any]


def deduplicate(
    method: Method, examples: pa.Table, settings: DedupSettings, embeddings: EmbeddingCache | None = None
) -> DedupResult:
    """Keep one row of each cluster of duplicates.

    Args:
        method: Which method to run; when it is off, every row is kept.
        examples: Schema `EXAMPLES`, or one with more columns.
        settings: The methods' settings, and which row survives.
        embeddings: Embeddings of earlier runs, for the semantic method; they save time and change no result.

    Returns:
        The survivors in the order of the table. When a row is dropped, its split group merges with its survivor's,
        for every row of both.

    Raises:
        ConfigError: if `keep` is `best_score` and the table has no scores.
        DropLimitError: if more than the method's `max_drop_fraction` went.
    """
    stage = f"dedup_{method}"
    chosen = getattr(settings, method)
    order = rank(examples, settings.keep)
    rows = Rows.of(examples, order)
    matches = Matches([])
    if chosen is not None:
        documents = documents_of(examples)
        ranked = [documents[row] for row in order]
        if method == "semantic":
            matches = semantic_duplicates(ranked, chosen, embeddings)
        else:
            matches = METHODS[method](ranked, chosen)
    drops = Drops(stage)
    for match in matches.duplicates:
        drops.add(
            rows.ids[match.row], REASONS[method], evidence_id=rows.ids[match.other], score=round(match.similarity, 6)
        )
    pairs = [(order[match.row], order[match.other]) for match in matches.duplicates]
    groups = merge_groups(examples["group_id"].to_pylist(), pairs)
    column = examples.schema.get_field_index("group_id")
    merged = examples.set_column(column, examples.schema.field(column), pa.array(groups, pa.string()))
    result = settle(stage, merged, drops, chosen.max_drop_fraction if chosen else 1.0)
    report = report_of(method, rows, matches, getattr(chosen, "threshold", None))
    report["alarms"] = alarms(report, result.kept["group_id"].to_pylist(), settings.max_cluster_fraction)
    return DedupResult(*result, report)


def rank(examples: pa.Table, keep: Keep) -> list[int]:
    """Return the positions of the rows, best first. Ties fall by id, so that the order of the table is no matter.

    Raises:
        ConfigError: if `keep` is `best_score` and the table has no scores.
    """
    positions = list(range(examples.num_rows))
    if keep == "first":
        return positions
    ids = examples["id"].to_pylist()
    sizes = [sum(len(turn["content"]) for turn in messages) for messages in examples["messages"].to_pylist()]
    if keep == "longest":
        return sorted(positions, key=lambda row: (-sizes[row], ids[row]))
    if "score" not in examples.column_names:
        raise ConfigError(
            "curation.dedup.keep=best_score needs a column `score`, which these rows lack because judging comes after "
            "deduplication; set curation.dedup.keep to longest or first, or import rows that have scores"
        )
    scores = [float("-inf") if score is None else score for score in examples["score"].to_pylist()]
    return sorted(positions, key=lambda row: (-scores[row], -sizes[row], ids[row]))
