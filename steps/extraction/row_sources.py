"""Data sets and preferences: files of rows, here or in a bucket, and data sets of the Hugging Face Hub."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from steps.extraction.folders import hash_of, require_local
from steps.extraction.found import FoundFile, SourceName, printable, require_any
from steps.extraction.globs import any_of
from steps.extraction.remote import RemoteFile, check_remote, copy_remote, is_remote, remote_files
from steps.settings import Settings

RowFormat = Literal["auto", "alpaca", "sharegpt", "openai", "oasst", "text"]

_TEXT_SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv")
_COMPRESSIONS = (".gz", ".zst")
ROW_SUFFIXES = (
    *_TEXT_SUFFIXES,
    *(f"{suffix}{compression}" for suffix in _TEXT_SUFFIXES for compression in _COMPRESSIONS),
    *(".parquet", ".arrow", ".feather"),
)
#: The files in which `datasets.save_to_disk` keeps a data set, and one with several splits.
STATE_FILE, DICT_FILE = "state.json", "dataset_dict.json"


class RowSettings(Settings):
    """What all sources of rows have in common."""

    name: SourceName
    """Name of the source in tables and reports; unique within a run."""
    columns: Mapping[str, str] = Field(default_factory=dict)
    """Renames columns, from the name in the data to the name of the format, e.g. `response: output`."""
    licence: str | None = None
    """Licence of the rows, as an SPDX identifier; a column `licence` or `license` of a row wins over it."""
    limit: int | None = Field(default=None, ge=1)
    """Rows to read at most, from the beginning; none reads all."""
    max_row_mb: float = Field(default=16.0, gt=0, le=512)
    """Largest row of a text file or query to read, in megabytes; a larger one is dropped with a reason."""


class _RowFiles(RowSettings):
    path: str | None = None
    """JSONL, JSON, CSV, TSV (also `.gz` or `.zst`), Parquet or Arrow file, a folder of them or one that
    `datasets.save_to_disk` wrote, relative to the working directory; or a remote one: `s3://`, `gs://`."""
    include: tuple[str, ...] | None = None
    """Globs of the files of a folder to read; none reads all of the formats above."""
    hub_id: str | None = None
    """Data set on the Hugging Face Hub, instead of `path`."""
    split: str = "train"
    """Split of the Hub data set, or of a folder that `datasets.save_to_disk` wrote with several."""
    revision: str | None = None
    """Commit, tag or branch of the Hub data set; none is the newest. The commit found is part of the fingerprint."""
    config_name: str | None = None
    """Configuration (subset) of the Hub data set."""
    streaming: bool = False
    """Read the Hub data set as it comes rather than download it first; for sets larger than the disk."""
    delimiter: str | None = Field(default=None, min_length=1, max_length=1)
    """Delimiter of CSV files; none finds it out of comma, semicolon, tab and bar."""
    encoding: str | None = None
    """Encoding of CSV files; none finds it out by byte order mark, as UTF-8, or by charset-normalizer."""
    rows_at: str | None = Field(default=None, min_length=1)
    """Where the rows of a JSON file stand that is one object: the dotted path of their array, e.g. `train.samples`."""
    max_file_mb: float = Field(default=50_000.0, gt=0)
    """Largest file of rows, in megabytes after decompression; what lies behind is dropped with a reason."""

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                codecs.lookup(value)
            except LookupError:
                raise ValueError(f"{value} is not an encoding that Python knows; set e.g. utf-8 or cp1252") from None
        return value

    @model_validator(mode="after")
    def _one_place(self) -> _RowFiles:
        if (self.path is None) == (self.hub_id is None):
            raise ValueError(f"source {self.name} needs either path or hub_id, and not both")
        if self.streaming and self.hub_id is None:
            raise ValueError(f"source {self.name}: streaming is for hub_id; files are always read as they come")
        return self


class DatasetSource(_RowFiles):
    """A data set of conversations, instructions or raw text."""

    type: Literal["dataset"] = "dataset"
    format: RowFormat = "auto"
    """Format of the rows; `auto` decides for each row by its keys."""
    text_as: Literal["documents", "messages"] = "documents"
    """What raw text becomes: documents to synthesise from, or one assistant turn each (continued pre-training)."""


class PreferenceSource(_RowFiles):
    """A data set of chosen and rejected answers, of answers with scores or ranks, or of answers with a label (KTO)."""

    type: Literal["preferences"] = "preferences"
    ranker: str = Field(default="imported", min_length=1)
    """Who preferred: `human`, `imported` when it is not known, or `judge:<model>`."""


RowFileSource = DatasetSource | PreferenceSource


def check_rows(source: RowFileSource, key: str) -> None:
    """Check that there is a file of rows to read; what the Hub holds shows when its commit is asked for.

    Raises:
        InputError: naming the config key.
    """
    if source.path is None:
        return
    if is_remote(source.path):
        check_remote(source.path, f"{key}.path")
    else:
        require_local(source.path, f"{key}.path")
    require_any(any(True for _ in row_files(source)), f"{key}.path", source.path, source.include or ROW_SUFFIXES)


def row_files(source: RowFileSource) -> Iterator[FoundFile]:
    """Yield the files of a source, sorted (those of a saved data set in its own order); none for the Hub."""
    if source.path is None:
        return
    if is_remote(source.path):
        max_bytes = int(source.max_file_mb * 1e6)
        for remote in remote_files(source.path):
            if _is_chosen(source, remote.path):
                fetch = partial(_copy, source.path, remote, max_bytes)
                yield FoundFile(remote.path, fetch, remote.n_bytes, remote.version)
        return
    for file in local_row_files(source):
        yield FoundFile(name_of(source, file), partial(_in_place, file), file.stat().st_size, is_here=True)


def local_row_files(source: RowFileSource) -> list[Path]:
    """List the files of a local path."""
    root = Path(source.path or "")
    if root.is_file():
        return [root]
    saved = _saved_data_set(root, source.split)
    if saved is not None:
        return saved
    files = ((file, file.relative_to(root).as_posix()) for file in root.rglob("*") if file.is_file())
    return sorted(file for file, name in files if _is_chosen(source, name))


def name_of(source: RowFileSource, file: Path) -> str:
    """Return a file's path relative to its source, as it stands in tables; bytes that are no UTF-8 become `\ufffd`."""
    root = Path(source.path or "")
    return printable(file.name if root.is_file() else file.relative_to(root).as_posix())


def row_versions(source: RowFileSource, fetched: Path) -> Iterable[str]:
    """Yield what changes when a row does: names and contents of the files, or the commit of a Hub data set."""
    if source.hub_id is not None:
        from steps.extraction.hub import hub_version

        return [hub_version(source)]
    if is_remote(source.path or ""):
        return [f"{file.path}\0{file.version}" for file in row_files(source)]
    return [f"{name_of(source, file)}\0{hash_of(file)}" for file in local_row_files(source)]


def _saved_data_set(root: Path, split: str) -> list[Path] | None:
    """Return the Arrow files that `datasets.save_to_disk` wrote, in their order; None where it did not write here."""
    import json

    folder = root / split if (root / DICT_FILE).is_file() else root
    state = folder / STATE_FILE
    if not state.is_file():
        return [] if folder != root else None
    try:
        names = [entry["filename"] for entry in json.loads(state.read_bytes())["_data_files"]]
    except (ValueError, KeyError, TypeError):
        return None
    # A name with a folder in it would lead out of the data set.
    files = [folder / str(name) for name in names if Path(str(name)).name == str(name)]
    return [file for file in files if file.is_file()]


def _is_chosen(source: RowFileSource, name: str) -> bool:
    if source.include is not None:
        return any_of(source.include).fullmatch(name) is not None
    return name.lower().endswith(ROW_SUFFIXES)


def _copy(path: str, file: RemoteFile, max_bytes: int, scratch: Path) -> Path:
    return copy_remote(path, file, scratch, max_bytes)


def _in_place(file: Path, scratch: Path) -> Path:
    return file
