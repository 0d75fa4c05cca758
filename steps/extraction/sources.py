"""What a run reads: folders of documents, data sets and preferences; checked and hashed before anything starts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from steps.errors import InputError
from steps.settings import Settings

SourceName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
RowFormat = Literal["auto", "alpaca", "sharegpt", "openai", "oasst", "text"]

DOCUMENT_SUFFIXES = ("md", "markdown", "html", "htm", "txt", "rst", "pdf")
ROW_SUFFIXES = (".jsonl", ".ndjson", ".json", ".parquet")
#: Bytes hashed at a time.
CHUNK_BYTES = 1 << 20


class DocumentSource(Settings):
    """A file, or a folder of files, from which examples are synthesised."""

    type: Literal["documents"] = "documents"
    name: SourceName
    """Name of the source in tables and reports; unique within a run."""
    path: str
    """File or folder, relative to the working directory."""
    include: tuple[str, ...] = tuple(f"**/*.{suffix}" for suffix in DOCUMENT_SUFFIXES)
    """Globs of the files to read, relative to the folder; `**/` is any depth, case does not matter."""
    exclude: tuple[str, ...] = ("**/.*/**", "**/node_modules/**", "**/__pycache__/**")
    """Globs of files to leave out though they are included; hidden folders by default."""
    licence: str | None = None
    """Licence of the documents, as an SPDX identifier."""
    max_file_mb: float = Field(default=50.0, gt=0)
    """Largest file to read, in megabytes; larger ones are dropped with a reason."""


class _RowSource(Settings):
    name: SourceName
    """Name of the source in tables and reports; unique within a run."""
    path: str | None = None
    """JSONL, JSON or Parquet file, or a folder of them, relative to the working directory."""
    hub_id: str | None = None
    """Data set on the Hugging Face Hub, instead of `path`."""
    split: str = "train"
    """Split of the Hub data set."""
    revision: str | None = None
    """Commit or tag of the Hub data set; without one, a newer revision does not re-run the extraction."""
    config_name: str | None = None
    """Configuration (subset) of the Hub data set."""
    columns: Mapping[str, str] = Field(default_factory=dict)
    """Renames columns, from the name in the data to the name of the format, e.g. `response: output`."""
    licence: str | None = None
    """Licence of the rows, as an SPDX identifier; a column `licence` or `license` of a row wins over it."""
    limit: int | None = Field(default=None, ge=1)
    """Rows to read at most, from the beginning; none reads all."""

    @model_validator(mode="after")
    def _one_place(self) -> _RowSource:
        if (self.path is None) == (self.hub_id is None):
            raise ValueError(f"source {self.name} needs either path or hub_id, and not both")
        return self


class DatasetSource(_RowSource):
    """A data set of conversations, instructions or raw text."""

    type: Literal["dataset"] = "dataset"
    format: RowFormat = "auto"
    """Format of the rows; `auto` decides for each row by its keys."""
    text_as: Literal["documents", "messages"] = "documents"
    """What raw text becomes: documents to synthesise from, or one assistant turn each (continued pre-training)."""


class PreferenceSource(_RowSource):
    """A data set of chosen and rejected answers."""

    type: Literal["preferences"] = "preferences"
    ranker: str = Field(default="imported", min_length=1)
    """Who preferred: `human`, `imported` when it is not known, or `judge:<model>`."""


Source = DocumentSource | DatasetSource | PreferenceSource


class Sources(Settings):
    """All sources of a run, as one parameter of a step."""

    sources: tuple[Annotated[Source, Field(discriminator="type")], ...]
    """In the order in which they are read."""


class ExtractionSettings(Settings):
    """What extraction tolerates."""

    max_drop_fraction: float = Field(default=0.5, ge=0, le=1)
    """Share of files and rows that may be unusable before the run stops."""


def check_sources(sources: Sequence[Source]) -> None:
    """Check that names are unique and that every path holds something to read.

    Raises:
        InputError: naming the source, what is wrong with it and what to do.
    """
    names = [source.name for source in sources]
    for index, source in enumerate(sources):
        if source.name in names[:index]:
            raise InputError(
                f"sources.{index}.name={source.name!r} is used twice; rows are told apart by it, rename one"
            )
        if source.path is None:
            continue
        if not Path(source.path).exists():
            raise InputError(f"sources.{index}.path={source.path} does not exist below {Path.cwd()}; correct the path")
        if not files_of(source):
            wanted = ", ".join(source.include if isinstance(source, DocumentSource) else ROW_SUFFIXES)
            raise InputError(f"sources.{index}.path={source.path} holds no file to read; expected {wanted}")


def files_of(source: Source) -> list[Path]:
    """List the files of a source, sorted; empty for a Hub data set."""
    root = Path(source.path) if source.path is not None else None
    if root is None:
        return []
    if root.is_file():
        return [root]
    files = ((path, path.relative_to(root).as_posix()) for path in root.rglob("*") if path.is_file())
    if isinstance(source, DocumentSource):
        include, exclude = _any_of(source.include), _any_of(source.exclude)
        chosen = (path for path, name in files if include.fullmatch(name) and not exclude.fullmatch(name))
    else:
        chosen = (path for path, name in files if path.suffix.lower() in ROW_SUFFIXES)
    return sorted(chosen)


def name_of(source: Source, file: Path) -> str:
    """Return a file's path relative to its source, as it stands in tables; bytes that are no UTF-8 become `�`."""
    root = Path(source.path or "")
    name = file.name if root.is_file() else file.relative_to(root).as_posix()
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def fingerprint(sources: Iterable[Source]) -> str:
    """Return a hash of the sources' settings and of every file's name and content (Hub data sets: id and revision)."""
    import xxhash

    digest = xxhash.xxh3_128()
    for source in sources:
        digest.update(source.model_dump_json().encode())
        for file in files_of(source):
            content = xxhash.xxh3_128()
            with file.open("rb") as stream:
                while chunk := stream.read(CHUNK_BYTES):
                    content.update(chunk)
            digest.update(f"{name_of(source, file)}\0{content.hexdigest()}\0".encode())
    return str(digest.hexdigest())


def hash_paths(paths: Iterable[str]) -> str:
    """Return a hash of the content of files and folders (an empty string for none), for what is no source of rows."""
    import xxhash

    files = [
        file for path in paths for file in (sorted(Path(path).rglob("*")) if Path(path).is_dir() else [Path(path)])
    ]
    digests = [xxhash.xxh3_128(file.read_bytes()).hexdigest() for file in files if file.is_file()]
    return "".join(digests) and str(xxhash.xxh3_128("".join(digests).encode()).hexdigest())


def _any_of(globs: Sequence[str]) -> re.Pattern[str]:
    return re.compile("|".join(_regex(glob) for glob in globs) or r"(?!)", re.IGNORECASE)


def _regex(glob: str) -> str:
    """Translate a glob; `**/` is any number of folders, `**` anything, `*` and `?` stay within a name."""
    wild = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", glob.removeprefix("./"))
    return "".join(wild.get(part) or re.escape(part) for part in parts)
