"""What a run reads: the union of all sources; checked and fingerprinted before anything starts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import Field

from steps.errors import InputError
from steps.extraction.folders import DocumentSource, check_documents, document_files, document_versions
from steps.extraction.found import FoundFile
from steps.extraction.git import GitSource, check_git, git_files, git_versions
from steps.extraction.isolation import ReadLimits
from steps.extraction.notion import NotionSource, check_notion, notion_files, notion_versions
from steps.extraction.row_sources import DatasetSource, PreferenceSource, check_rows, row_files, row_versions
from steps.extraction.sql import SqlSource, check_sql, sql_versions
from steps.extraction.website import WebsiteSource, check_website, website_files, website_versions
from steps.settings import Settings

DocumentFiles = DocumentSource | GitSource | NotionSource | WebsiteSource
Source = DocumentFiles | DatasetSource | PreferenceSource | SqlSource


class Sources(Settings):
    """All sources of a run, as one parameter of a step."""

    sources: tuple[Annotated[Source, Field(discriminator="type")], ...]
    """In the order in which they are read."""


class ExtractionSettings(Settings):
    """What extraction tolerates, and how much of its work it keeps."""

    max_drop_fraction: float = Field(default=0.5, ge=0, le=1)
    """Share of files and rows that may be unusable before the run stops."""
    reading: ReadLimits = ReadLimits()
    """What reading one file may cost; a source's own `max_file_mb` stands in place of this one's."""
    cache_gb: float | None = Field(default=4.0, gt=0)
    """Gigabytes of extracted text kept between runs, so that a file that did not change is not read again; the least
    recently used goes first. None keeps nothing."""


class _Kind(NamedTuple):
    """What can be asked of a source; `fetched` is the folder where clones and pages are kept between runs."""

    check: Callable[[Any, str], None]
    versions: Callable[[Any, Path], Iterable[str]]
    files: Callable[[Any, Path], Iterable[FoundFile]]


def _row_files(source: DatasetSource | PreferenceSource, fetched: Path) -> Iterator[FoundFile]:
    return row_files(source)


def _no_files(source: SqlSource, fetched: Path) -> tuple[FoundFile, ...]:
    return ()


_KINDS: Mapping[type, _Kind] = {
    DocumentSource: _Kind(check_documents, document_versions, document_files),
    DatasetSource: _Kind(check_rows, row_versions, _row_files),
    PreferenceSource: _Kind(check_rows, row_versions, _row_files),
    GitSource: _Kind(check_git, git_versions, git_files),
    NotionSource: _Kind(check_notion, notion_versions, notion_files),
    WebsiteSource: _Kind(check_website, website_versions, website_files),
    SqlSource: _Kind(check_sql, sql_versions, _no_files),
}


def check_sources(sources: Sequence[Source]) -> None:
    """Check that names are unique and that every source holds something to read.

    Raises:
        InputError: naming the source, what is wrong with it and what to do.
    """
    names = [source.name for source in sources]
    for index, source in enumerate(sources):
        if source.name in names[:index]:
            raise InputError(
                f"sources.{index}.name={source.name!r} is used twice; rows are told apart by it, rename one"
            )
        _KINDS[type(source)].check(source, f"sources.{index}")


def fingerprint(sources: Iterable[Source], fetched: Path) -> str:
    """Return a hash that changes exactly when the sources' settings or contents do.

    Contents are the bytes of local files, the checksums (or times and sizes) that a bucket states, a repository's or
    Hub data set's commit, the pages of a site as its server confirms them, the result of a query.

    Args:
        sources: The sources of a run.
        fetched: Folder where fetched pages are kept between runs.

    Raises:
        InputError: if a source cannot be asked for its state.
    """
    import xxhash

    digest = xxhash.xxh3_128()
    for source in sources:
        digest.update(source.model_dump_json().encode())
        for version in _KINDS[type(source)].versions(source, fetched):
            digest.update(f"{version}\0".encode("utf-8", "surrogatepass"))
    return str(digest.hexdigest())


def files_of(source: Source, fetched: Path) -> Iterable[FoundFile]:
    """Yield the files of a source, sorted; none for a Hub data set or a query."""
    return _KINDS[type(source)].files(source, fetched)


def hash_paths(paths: Iterable[str]) -> str:
    """Return a hash of the content of files and folders (an empty string for none), for what is no source of rows."""
    import xxhash

    files = [
        file for path in paths for file in (sorted(Path(path).rglob("*")) if Path(path).is_dir() else [Path(path)])
    ]
    digests = [xxhash.xxh3_128(file.read_bytes()).hexdigest() for file in files if file.is_file()]
    return "".join(digests) and str(xxhash.xxh3_128("".join(digests).encode()).hexdigest())
