"""Deduplication of a table: rank the rows, let a method match them, drop, merge groups, report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from steps.dedup.documents import Document, Documents, lengths
from steps.dedup.embedding_cache import EmbeddingCache
from steps.dedup.exact import ExactSettings, exact_duplicates
from steps.dedup.groups import merged_groups
from steps.dedup.minhash import MinHashSettings, near_duplicates
from steps.dedup.on_engine import exact_on, near_duplicates_on, ranked
from steps.dedup.report import Rows, alarms, report_of
from steps.dedup.selection import Matches, Pairs
from steps.dedup.semantic import SemanticSettings, semantic_duplicates
from steps.dedup.sources import check_sources, losses_by_source, source_alarms
from steps.engines.engine import engine_of
from steps.engines.settings import EngineSettings
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

    alarm_source_drop_fraction: float | None = Field(0.5, gt=0, le=1)
    """Share of a source's rows that one method drops above which the report raises an alarm. Sources of fewer than 20
    rows raise none: there, a few copies are a large share."""

    max_source_drop_fraction: float | None = Field(0.95, gt=0, le=1)
    """Share of a source's rows that one method drops above which the run stops, sources of fewer than 20 rows excepted.
    0.95 lets a source go that is mostly copies, and stops what leaves next to nothing, as unverified chains did in a
    public run that kept 2 of 859,092 rows. None stops for no source."""

    @property
    def index_paths(self) -> tuple[str, ...]:
        """The index of an earlier corpus, if there is one."""
        return (self.minhash.index_path,) if self.minhash and self.minhash.index_path else ()


class DedupResult(NamedTuple):
    """The outcome of a deduplication: the survivors with merged groups, the ledger, and a JSON report."""

    kept: pa.Table
    ledger: pa.Table
    report: dict[str, Any]


def deduplicate(
    method: Method,
    examples: pa.Table,
    settings: DedupSettings,
    engine: EngineSettings | None = None,
    embeddings: EmbeddingCache | None = None,
) -> DedupResult:
    """Keep one row of each cluster of duplicates.

    Args:
        method: Which method to run; when it is off, every row is kept.
        examples: Schema `EXAMPLES`, or one with more columns.
        settings: The methods' settings, and which row survives.
        engine: Where exact and near-duplicates are searched; None: in this process.
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
    matches = Matches([])
    if isinstance(chosen, SemanticSettings) and examples.num_rows:
        matches = semantic_duplicates(Documents(examples["messages"], order, examples["id"]), chosen, embeddings)
    elif chosen is not None and examples.num_rows:
        matches = _matches(method, examples, order, chosen, engine or EngineSettings())
    pairs = Pairs.of(matches.duplicates)
    rows = Rows(examples, order, matches.earlier)
    drops = Drops(stage)
    drops.extend(
        rows.ids(pairs.row), REASONS[method], evidence_ids=rows.ids(pairs.other), scores=np.round(pairs.similarity, 6)
    )
    inside = pairs.other >= 0  # rows of an earlier corpus have no group here
    groups = merged_groups(examples["group_id"], order[pairs.row[inside]], order[pairs.other[inside]])
    column = examples.schema.get_field_index("group_id")
    merged = examples.set_column(column, examples.schema.field(column), groups)
    result = settle(stage, merged, drops, chosen.max_drop_fraction if chosen else 1.0)
    losses = losses_by_source(examples["source"], order[pairs.row])
    check_sources(stage, losses, settings.max_source_drop_fraction, result.ledger)
    report = report_of(method, rows, matches, getattr(chosen, "threshold", None))
    report["sources"] = [loss._asdict() for loss in losses]
    report["alarms"] = alarms(report, result.kept["group_id"], settings.max_cluster_fraction)
    report["alarms"] += source_alarms(losses, settings.alarm_source_drop_fraction)
    return DedupResult(*result, report)


def _matches(
    method: Method, examples: pa.Table, order: npt.NDArray[np.int64], chosen: Any, engine: EngineSettings
) -> Matches:
    """Run a method, on the engine if it can run there: the exact join, datasketch and an index run in this process."""
    documents = Documents(examples["messages"], order, examples["id"])
    if engine.type == "local":
        return METHODS[method](documents, chosen)
    rows = ranked(examples, order)
    if isinstance(chosen, ExactSettings):
        return exact_on(engine_of(engine), rows, chosen, engine.partitions)
    if chosen.method == "minhash" and chosen.index_path is None:
        return near_duplicates_on(engine_of(engine), rows, documents, chosen, engine.partitions)
    return METHODS[method](documents, chosen)


def rank(examples: pa.Table, keep: Keep) -> npt.NDArray[np.int64]:
    """Return the positions of the rows, best first. Ties fall by id, so that the order of the table is no matter.

    Raises:
        ConfigError: if `keep` is `best_score` and the table has no scores.
    """
    if keep == "first":
        return np.arange(examples.num_rows)
    columns = {"size": pa.array(lengths(examples)), "id": examples["id"]}
    keys = [("size", "descending"), ("id", "ascending")]
    if keep == "best_score":
        if "score" not in examples.column_names:
            raise ConfigError(
                "curation.dedup.keep=best_score needs a column `score`, which these rows lack because judging comes "
                "after deduplication; set curation.dedup.keep to longest or first, or import rows that have scores"
            )
        columns["score"] = pc.fill_null(examples["score"], float("-inf"))
        keys = [("score", "descending"), *keys]
    return np.asarray(pc.sort_indices(pa.table(columns), sort_keys=keys)).astype(np.int64)
