"""Found files to what they hold: from the cache where their content was read before, else through the readers."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from steps.extraction.cache import ExtractionCache, Result
from steps.extraction.documents import read_file
from steps.extraction.folders import hash_of
from steps.extraction.found import FoundFile
from steps.extraction.reasons import UnusableError

#: Files looked up, fetched and read together: their content lies on the disk once more meanwhile.
BATCH_FILES = 256


def read_found(
    files: Iterable[FoundFile], max_file_mb: float, cache: ExtractionCache | None
) -> Iterator[tuple[FoundFile, Result]]:
    """Yield every file with its format and what it holds, or why it cannot be used, in the order of the files."""
    files = iter(files)
    while batch := list(islice(files, BATCH_FILES)):
        with tempfile.TemporaryDirectory(prefix="tunesmith-files-") as scratch:
            yield from zip(batch, _read(batch, Path(scratch), max_file_mb, cache), strict=True)


def _read(batch: Sequence[FoundFile], scratch: Path, max_file_mb: float, cache: ExtractionCache | None) -> list[Result]:
    if cache is None:
        return [_read_fetched(_fetched(file, scratch), max_file_mb, scratch) for file in batch]
    max_bytes = max_file_mb * 1e6
    versions = [file.known_by if (file.n_bytes or 0) <= max_bytes else None for file in batch]
    by_version = cache.digests(version for version in versions if version is not None)
    contents = [by_version.get(version or "") for version in versions]
    known = cache.get(content for content in contents if content is not None)
    fetched: dict[int, Path | UnusableError] = {}
    for number, file in enumerate(batch):
        if contents[number] not in known:
            fetched[number] = _fetched(file, scratch)
            contents[number] = _content(fetched[number], max_bytes)
    known |= cache.get(content for number in fetched if (content := contents[number]) is not None)
    made: dict[str, Result] = {}
    results: list[Result] = []
    for number, content in enumerate(contents):
        result = known.get(content or "") or made.get(content or "")
        if result is None:
            result = _read_fetched(fetched[number], max_file_mb, scratch)
            cache.n_read += 1
            if content is not None:
                made[content] = result
        else:
            cache.n_from_cache += 1
        results.append(result)
    cache.put(
        made, {version: content for version, content in zip(versions, contents, strict=True) if version and content}
    )
    return results


def _fetched(file: FoundFile, scratch: Path) -> Path | UnusableError:
    try:
        return file.fetch(scratch)
    except UnusableError as error:
        return error


def _content(fetched: Path | UnusableError, max_bytes: float) -> str | None:
    """Return what the cache knows a file by; None for one that has no content now, or more than is read."""
    try:
        if isinstance(fetched, UnusableError) or fetched.stat().st_size > max_bytes:
            return None
    except OSError:
        return None
    digest = hash_of(fetched)
    return None if digest.startswith("unreadable") else f"{digest}{fetched.suffix.lower()}"


def _read_fetched(fetched: Path | UnusableError, max_file_mb: float, scratch: Path) -> Result:
    if isinstance(fetched, UnusableError):
        return fetched
    try:
        return read_file(fetched, max_file_mb)
    except UnusableError as error:
        return error
    finally:
        if fetched.is_relative_to(scratch):
            shutil.rmtree(fetched.parent)
