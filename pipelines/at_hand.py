"""The rows that can be had without a run: those of a curated version, or what the sources hold."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from pipelines.config import RunConfig
from pipelines.preflight import check_sources_of
from steps.errors import InputError
from steps.rows import DOCUMENTS


class RowsAtHand(NamedTuple):
    """Rows, where they come from in words, and the base model whose tokenizer counts (None: none is at hand)."""

    documents: pa.Table
    examples: pa.Table
    origin: str
    base_model: Path | None


def rows_of_version(config: RunConfig, artifact: str) -> RowsAtHand | None:
    """Return the rows of one artifact of the newest version that has it; None where there is none.

    `documents` come along where the version has them.
    """
    from pipelines.runtime import prepare_environment

    prepare_environment()
    from pipelines.versions import find_version

    try:
        version = find_version(config.name, config.inputs, (artifact, "base_model"))
    except InputError:
        return None
    found = {name: version.get_artifact(name) for name in (artifact, "base_model", "documents")}
    if found[artifact] is None:
        return None
    documents, base_model = (found[name] and found[name].load() for name in ("documents", "base_model"))
    words = f"the {artifact.replace('_', ' ')} of {config.name} {version.name}"
    return RowsAtHand(documents or DOCUMENTS.empty_table(), found[artifact].load(), words, base_model)


def rows_of_sources(config: RunConfig) -> RowsAtHand:
    """Read the sources and synthesise without a model, in this process.

    Raises:
        ConfigError, InputError: if there are no sources, or one cannot be read.
    """
    from steps.extraction.extract import extract
    from steps.extraction.sources import Sources
    from steps.synthesis.synthesise import synthesise

    if config.corpus is not None:
        from steps.extraction.corpus import write_corpus

        write_corpus(config.corpus)
    check_sources_of(config)
    all_kept = {"max_drop_fraction": 1.0}  # how much extraction may lose is for a run to judge
    found = extract(Sources(sources=config.sources), config.curation.extract.model_copy(update=all_kept))
    made = synthesise(found.documents, config.curation.synthesise.model_copy(update=all_kept))
    local = Path(config.model.base)
    base_model = local if (local / "tokenizer.json").is_file() else None
    rows = pa.concat_tables([made.kept, found.examples])
    return RowsAtHand(found.documents, rows, "the sources, read just now", base_model)
