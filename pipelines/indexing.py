"""`tunesmith index`: what a model was trained on, kept for comparing later data with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipelines.config import load_config
from pipelines.runtime import prepare_environment
from steps.dedup.index import write_index
from steps.errors import ConfigError


def index_rows(config_path: Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Add the rows of the config's newest data set to `curation.dedup.minhash.index_path`, or begin that file.

    All splits are added: new data must repeat neither training rows nor test rows.

    Raises:
        ConfigError: if the config names no index.
        InputError: if no data set has been curated yet, or the file fits other settings.
    """
    config = load_config(config_path, overrides)
    minhash = config.curation.dedup.minhash
    if minhash is None or minhash.index_path is None:
        raise ConfigError(
            "curation.dedup.minhash.index_path is not set; name the file to write, e.g. "
            "--set curation.dedup.minhash.index_path=corpus.arrow"
        )
    prepare_environment()
    from pipelines.versions import artifact_of, find_version

    version = find_version(config.name, config.inputs, ("sft_dataset",))
    added, total = write_index(minhash.index_path, artifact_of(version, "sft_dataset").load(), minhash)
    return {"index": minhash.index_path, "version": version.name, "added": added, "rows": total}
