"""Found files to what they hold: from the cache where their content was read before, else through the readers."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from steps.extraction.cache import ExtractionCache, content_key
from steps.extraction.folders import hash_of
from steps.extraction.found import FoundFile
from steps.extraction.isolation import FileRequest, Outcome, ReadLimits, read_files
from steps.extraction.reasons import UnusableError

#: Files and bytes read together: what had to be fetched lies on the disk meanwhile. Starting a reader costs about a
#: CPU-second, so that batches are large.
BATCH_FILES, BATCH_BYTES = 4_096, 1 << 30
#: A second reader pays for itself from so many files on.
FILES_PER_WORKER = 32


class _Place(NamedTuple):
    """Where a file's content lies, and what the cache knows it by; without content, why there is none."""

    fetched: Path | UnusableError
    content: str | None


def read_found(
    files: Iterable[FoundFile], limits: ReadLimits, cache: ExtractionCache | None
) -> Iterator[tuple[FoundFile, Outcome]]:
    """Yield every file with its format and what it holds, or why it cannot be used, in the order of the files."""
    for batch in _batched(files):
        with tempfile.TemporaryDirectory(prefix="tunesmith-files-") as scratch:
            if cache is None:
                places = [_Place(_fetched(file, Path(scratch)), None) for file in batch]
                outcomes: Iterable[Outcome] = _read(batch, places, limits)
            else:
                outcomes = _read_new(batch, Path(scratch), limits, cache)
            yield from zip(batch, outcomes, strict=True)


def _read_new(batch: Sequence[FoundFile], scratch: Path, limits: ReadLimits, cache: ExtractionCache) -> list[Outcome]:
    """Read what is not in the cache, each content once, and put it there."""
    max_bytes = limits.max_file_mb * 1e6
    versions = [version_key(file) if (file.n_bytes or 0) <= max_bytes else None for file in batch]
    digests = cache.digests(version for version in versions if version is not None)
    contents = [digests.get(version or "") for version in versions]
    known = cache.get(content for content in contents if content is not None)
    fetched = {
        number: _placed(file, scratch, max_bytes) for number, file in enumerate(batch) if contents[number] not in known
    }
    for number, place in fetched.items():
        contents[number] = place.content
    known |= cache.get(place.content for place in fetched.values() if place.content is not None)
    first = {contents[number] or number: number for number in reversed(fetched) if contents[number] not in known}
    new = sorted(first.values())
    made = dict(zip(new, _read([batch[n] for n in new], [fetched[n] for n in new], limits), strict=True))
    cache.n_read += len(new)
    cache.n_from_cache += len(batch) - len(new)
    fresh = {content: made[number] for number in new if (content := contents[number]) is not None}
    cache.put(fresh, {v: content for v, content in zip(versions, contents, strict=True) if v and content})
    found = known | fresh
    return [found[content] if (content := contents[n]) is not None else made[n] for n in range(len(batch))]


def _read(files: Sequence[FoundFile], places: Sequence[_Place], limits: ReadLimits) -> Iterator[Outcome]:
    """Read the contents that are there, in children."""
    requests = [
        FileRequest(place.fetched, file.name)
        for file, place in zip(files, places, strict=True)
        if not isinstance(place.fetched, UnusableError)
    ]
    n_workers = min(limits.workers, 1 + len(requests) // FILES_PER_WORKER)
    outcomes = read_files(requests, limits.model_copy(update={"workers": n_workers})) if requests else iter(())
    for place in places:
        yield place.fetched if isinstance(place.fetched, UnusableError) else next(outcomes)[1]


def _placed(file: FoundFile, scratch: Path, max_bytes: float) -> _Place:
    """Fetch a file; one that has no content now, or more than is read, is not known to the cache."""
    fetched = _fetched(file, scratch)
    try:
        if isinstance(fetched, UnusableError) or fetched.stat().st_size > max_bytes:
            return _Place(fetched, None)
    except OSError:
        return _Place(fetched, None)
    digest = hash_of(fetched)
    return _Place(fetched, None if digest.startswith("unreadable") else content_key(digest, file.name))


def version_key(file: FoundFile) -> str | None:
    """Return what names a file's result without its content being fetched, if the source knows a version."""
    return None if file.version is None else content_key(file.version, file.name)


def _fetched(file: FoundFile, scratch: Path) -> Path | UnusableError:
    try:
        return file.fetch(scratch)
    except UnusableError as error:
        return error


def _batched(files: Iterable[FoundFile]) -> Iterator[list[FoundFile]]:
    batch: list[FoundFile] = []
    n_bytes = 0
    for file in files:
        batch.append(file)
        n_bytes += 0 if file.is_here else file.n_bytes or 0
        if len(batch) >= BATCH_FILES or n_bytes >= BATCH_BYTES:
            yield batch
            batch, n_bytes = [], 0
    if batch:
        yield batch
