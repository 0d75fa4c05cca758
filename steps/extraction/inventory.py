"""What a run would read, as far as it can be told beforehand: files, rows, bytes, and what is extracted already."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from steps.extraction.cache import ExtractionCache, content_key, readers_hash
from steps.extraction.folders import hash_of
from steps.extraction.found import FileChoice, FoundFile
from steps.extraction.reading import version_key
from steps.extraction.sources import ExtractionSettings, Source, files_of

#: Below the cache folder: what was fetched of other places, and what was extracted.
FETCHED = "fetched"
EXTRACTED = "extraction/results.sqlite"
#: Bytes of the beginning of a file by which its rows are estimated.
SAMPLE_BYTES = 1 << 20


class SourceFacts(NamedTuple):
    """What is known of a source beforehand; None where only reading it would tell."""

    n_files: int
    n_bytes: int
    n_rows: int | None
    n_cached: int | None

    def __str__(self) -> str:
        parts = [f"{self.n_files:,} {'file' if self.n_files == 1 else 'files'}", f"{self.n_bytes / 1e6:,.1f} MB"]
        parts += [f"about {self.n_rows:,} rows"] if self.n_rows is not None else []
        parts += [f"{self.n_cached:,} extracted already"] if self.n_cached is not None else []
        return ", ".join(parts)


@contextmanager
def open_cache(folder: Path, settings: ExtractionSettings) -> Iterator[ExtractionCache | None]:
    """Open the extraction cache below `folder`; None where the settings want none."""
    if settings.cache_gb is None:
        yield None
        return
    with ExtractionCache(folder / EXTRACTED, int(settings.cache_gb * 1e9), readers_hash()) as cache:
        yield cache


def source_facts(source: Source, cache: ExtractionCache | None, fetched: Path) -> SourceFacts | None:
    """Return what is known of a source; None where it has no files of its own (a query, a Hub data set)."""
    files = list(files_of(source, fetched))
    if not files:
        return None
    n_bytes = sum(file.n_bytes or 0 for file in files)
    if isinstance(source, FileChoice):
        return SourceFacts(len(files), n_bytes, None, _count_cached(files, cache) if cache is not None else None)
    return SourceFacts(len(files), n_bytes, _estimated_rows(files, source.limit), None)


def _count_cached(files: Iterable[FoundFile], cache: ExtractionCache) -> int:
    """Count the files whose content has a result; one that would have to be fetched first counts as new."""
    versions = [version for file in files if (version := version_key(file)) is not None]
    digests = cache.digests(versions)
    contents = [digests[version] for version in versions if version in digests]
    contents += [content_key(hash_of(file.fetch(Path())), file.name) for file in files if file.is_here]
    known = cache.known(contents)
    return sum(content in known for content in contents)


def _estimated_rows(files: Iterable[FoundFile], limit: int | None) -> int | None:
    """Estimate the rows of local files: exactly for Parquet, by the length of the first lines for others."""
    total = 0
    for file in files:
        if not file.is_here:
            return None
        n_rows = _rows_in(file.fetch(Path()))
        if n_rows is None:
            return None
        total += n_rows
    return total if limit is None else min(total, limit)


def _rows_in(file: Path) -> int | None:
    suffix = PurePosixPath(file.name).suffix.lower()
    if suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            return int(pq.read_metadata(file).num_rows)
        except (pa.ArrowException, OSError):
            return None
    if suffix not in {".jsonl", ".ndjson", ".csv", ".tsv"}:
        return None
    with file.open("rb") as stream:
        sample = stream.read(SAMPLE_BYTES)
    n_lines = sample.count(b"\n") + (not sample.endswith(b"\n") and bool(sample))
    rows = round(n_lines * file.stat().st_size / len(sample)) if sample else 0
    return max(rows - (suffix in {".csv", ".tsv"}), 0)
