"""The three deduplication steps."""

import os
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
from zenml import step

from steps.caching import rerun_when_changed
from steps.dedup.clusters import DedupSettings, deduplicate
from steps.dedup.embedding_cache import EmbeddingCache
from steps.dedup.semantic import SemanticSettings


@step(cache_policy=rerun_when_changed(__file__))
def dedup_exact(
    examples: pa.Table, settings: DedupSettings
) -> tuple[
    Annotated[pa.Table, "exact_unique_examples"],
    Annotated[pa.Table, "dedup_exact_ledger"],
    Annotated[dict[str, Any], "dedup_exact_report"],
]:
    """Keep one of the examples whose normalised texts are equal."""
    result = deduplicate("exact", examples, settings)
    return result.kept, result.ledger, result.report


@step(cache_policy=rerun_when_changed(__file__))
def dedup_minhash(
    examples: pa.Table, settings: DedupSettings
) -> tuple[
    Annotated[pa.Table, "minhash_unique_examples"],
    Annotated[pa.Table, "dedup_minhash_ledger"],
    Annotated[dict[str, Any], "dedup_minhash_report"],
]:
    """Keep one of the examples that share most of their word n-grams."""
    result = deduplicate("minhash", examples, settings)
    return result.kept, result.ledger, result.report


@step(cache_policy=rerun_when_changed(__file__))
def dedup_semantic(
    examples: pa.Table, settings: DedupSettings
) -> tuple[
    Annotated[pa.Table, "unique_examples"],
    Annotated[pa.Table, "dedup_semantic_ledger"],
    Annotated[dict[str, Any], "dedup_semantic_report"],
]:
    """Keep one of the examples that say the same in other words."""
    result = deduplicate("semantic", examples, settings, _embedding_cache(settings.semantic))
    return result.kept, result.ledger, result.report


def _embedding_cache(settings: SemanticSettings | None) -> EmbeddingCache | None:
    """Return the embeddings of earlier runs; None when they are not to be kept."""
    if settings is None or not settings.cache:
        return None
    if settings.cache_dir is not None:
        return EmbeddingCache(Path(settings.cache_dir).expanduser())
    root = os.environ.get("TUNESMITH_CACHE") or Path.home() / ".cache" / "tunesmith"
    return EmbeddingCache(Path(root) / "embeddings")
