"""Data sets of the Hugging Face Hub: pinned to the commit that was found, downloaded or read as they come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from steps.errors import InputError
from steps.extraction.folders import hash_of
from steps.extraction.row_blocks import BATCH_ROWS, Block, RawRow, of_batch, of_rows
from steps.extraction.row_sources import RowFileSource

#: Seconds to ask the Hub for the commit behind a revision.
REVISION_TIMEOUT_S = 20.0


def hub_version(source: RowFileSource) -> str:
    """Return the commit that a run would read; where the Hub cannot be asked, the revision as it is written.

    `datasets` reads what it downloaded before when the Hub is out of reach, so that this is no error yet. A folder in
    place of an id is known by its content.
    """
    from huggingface_hub import HfApi

    hub_id = source.hub_id or ""
    if Path(hub_id).is_dir():
        files = sorted(file for file in Path(hub_id).rglob("*") if file.is_file())
        return "\0".join(f"{file.relative_to(hub_id).as_posix()}\0{hash_of(file)}" for file in files)
    try:
        found = HfApi().dataset_info(hub_id, revision=source.revision, timeout=REVISION_TIMEOUT_S)
    except Exception:  # offline, private, gone: loading it says which
        return f"{hub_id}@{source.revision}"
    return f"{hub_id}@{found.sha}"


def hub_blocks(source: RowFileSource) -> Iterator[Block]:
    """Yield the rows of a data set of the Hub.

    Raises:
        InputError: if it cannot be loaded.
    """
    from datasets import load_dataset

    path = f"{source.hub_id}/{source.split}"
    try:
        dataset = load_dataset(
            source.hub_id,
            source.config_name,
            split=source.split,
            revision=source.revision,
            streaming=source.streaming,
        )
        yield from _streamed(dataset, path) if source.streaming else _downloaded(dataset, path)
    except Exception as error:  # the hub's client fails in many ways; all mean that this source cannot be read
        raise InputError(
            f"source {source.name}: the data set {source.hub_id} (split {source.split}, revision "
            f"{source.revision or 'newest'}) cannot be loaded: {type(error).__name__}: {str(error)[:300]}. "
            "Check the names, sign in with `hf auth login`, or download it and give its path"
        ) from error


def _downloaded(dataset: Any, path: str) -> Iterator[Block]:
    row = 0
    for batch in dataset.with_format("arrow").iter(BATCH_ROWS):
        yield of_batch(path, row, batch)
        row += batch.num_rows


def _streamed(dataset: Iterable[Any], path: str) -> Iterator[Block]:
    rows = (RawRow(path, row, None, value) for row, value in enumerate(dataset))
    while batch := list(islice(rows, BATCH_ROWS)):
        yield of_rows(batch)
