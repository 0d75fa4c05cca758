"""The three deduplication steps."""

from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
from zenml import step

from steps.cache_folder import cache_folder
from steps.caching import rerun_when_changed
from steps.dedup.clusters import DedupSettings, deduplicate
from steps.dedup.embedding_cache import EmbeddingCache
from steps.dedup.semantic import SemanticSettings
from steps.engines.settings import EngineSettings


@step(cache_policy=rerun_when_changed(__file__))
def dedup_exact(
    examples: pa.Table, settings: DedupSettings, engine: EngineSettings
) -> tuple[
    Annotated[pa.Table, "exact_unique_examples"],
    Annotated[pa.Table, "dedup_exact_ledger"],
    Annotated[dict[str, Any], "dedup_exact_report"],
]:
    """Keep one of the examples whose normalised texts are equal."""
    result = deduplicate("exact", examples, settings, engine)
    return result.kept, result.ledger, result.report


@step(cache_policy=rerun_when_changed(__file__))
def dedup_minhash(
    examples: pa.Table, settings: DedupSettings, engine: EngineSettings, index_hash: str = ""
) -> tuple[
    Annotated[pa.Table, "minhash_unique_examples"],
    Annotated[pa.Table, "dedup_minhash_ledger"],
    Annotated[dict[str, Any], "dedup_minhash_report"],
]:
    """Keep one of the examples that share most of their word n-grams, and none that an earlier corpus has.

    `index_hash` covers the content of `curation.dedup.minhash.index_path`.
    """
    result = deduplicate("minhash", examples, settings, engine)
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
    result = deduplicate("semantic", examples, settings, embeddings=_embedding_cache(settings.semantic))
    return result.kept, result.ledger, result.report


def _embedding_cache(settings: SemanticSettings | None) -> EmbeddingCache | None:
    """Return the embeddings of earlier runs; None when they are not to be kept."""
    if settings is None or not settings.cache:
        return None
    if settings.cache_dir is not None:
        return EmbeddingCache(Path(settings.cache_dir).expanduser())
    return EmbeddingCache(cache_folder() / "embeddings")
