"""Documents in a folder, here or in a bucket."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Literal

from steps.errors import InputError
from steps.extraction.found import FileChoice, FoundFile, chosen_by, printable, require_any
from steps.extraction.licences import licence_near
from steps.extraction.remote import RemoteFile, check_remote, copy_remote, is_remote, remote_files


class DocumentSource(FileChoice):
    """A file, or a folder of files, from which examples are synthesised."""

    type: Literal["documents"] = "documents"
    path: str
    """File or folder, relative to the working directory; or a remote one: `s3://`, `gs://` or another that fsspec
    speaks."""


def check_documents(source: DocumentSource, key: str) -> None:
    """Check that there is a document to read.

    Raises:
        InputError: naming the config key.
    """
    if is_remote(source.path):
        check_remote(source.path, f"{key}.path")
        found = bool(_chosen_remote(source))
    else:
        require_local(source.path, f"{key}.path")
        found = bool(local_files(source.path, source))
    require_any(found, f"{key}.path", source.path, source.include)


def require_local(path: str, key: str) -> None:
    """Raise unless a local path exists.

    Raises:
        InputError: naming the config key.
    """
    if not Path(path).exists():
        raise InputError(f"{key}={path} does not exist below {Path.cwd()}; correct the path")


def document_files(source: DocumentSource, fetched: Path) -> Iterator[FoundFile]:
    """Yield the documents of a folder, sorted by their paths."""
    if not is_remote(source.path):
        yield from found_locally(source.path, source)
        return
    max_bytes = int(source.max_file_mb * 1e6)
    for file in _chosen_remote(source):
        fetch = partial(_copy, source.path, file, max_bytes)
        yield FoundFile(file.path, fetch, file.n_bytes, file.version, source.licence)


def found_locally(path: str, choice: FileChoice) -> Iterator[FoundFile]:
    """Yield the chosen files of a local path, named by where they lie below it."""
    root = Path(path)
    licences: dict[Path, str | None] = {}
    for file in local_files(path, choice):
        if file.parent not in licences:
            licences[file.parent] = choice.licence or licence_near(file, root)
        name = printable(file.name if root.is_file() else file.relative_to(root).as_posix())
        licence = licences[file.parent]
        yield FoundFile(name, partial(_in_place, file), n_bytes=_size_of(file), licence=licence, is_here=True)


def local_files(path: str, choice: FileChoice) -> list[Path]:
    """List the chosen files below a local path, sorted; a path that is a file is chosen whatever its name."""
    root = Path(path)
    if root.is_file():
        return [root]
    is_chosen = chosen_by(choice)
    return sorted(file for file in root.rglob("*") if is_chosen(file.relative_to(root).as_posix()) and file.is_file())


def document_versions(source: DocumentSource, fetched: Path) -> Iterable[str]:
    """Yield what changes when a document does: the name and content (or remote version) of every file."""
    if is_remote(source.path):
        return [f"{file.path}\0{file.version}" for file in _chosen_remote(source)]
    return local_versions(found_locally(source.path, source))


def local_versions(files: Iterable[FoundFile]) -> Iterator[str]:
    """Yield the name, the content hash and the licence of files that lie on this machine."""
    for file in files:
        yield f"{file.path}\0{hash_of(file.fetch(Path()))}\0{file.licence}"


def hash_of(file: Path) -> str:
    """Return the xxh3 hash of a file's content, and its reason where it cannot be read: that may change as well."""
    import xxhash

    from steps.extraction.found import CHUNK_BYTES

    digest = xxhash.xxh3_128()
    try:
        with file.open("rb") as stream:
            while chunk := stream.read(CHUNK_BYTES):
                digest.update(chunk)
    except OSError as error:
        return f"unreadable: {error.strerror}"
    return str(digest.hexdigest())


def _chosen_remote(source: DocumentSource) -> list[RemoteFile]:
    files = remote_files(source.path)
    is_chosen = chosen_by(source)
    is_one_file = len(files) == 1 and files[0].path == source.path.rsplit("/", 1)[-1]
    return [file for file in files if is_one_file or is_chosen(file.path)]


def _copy(path: str, file: RemoteFile, max_bytes: int, scratch: Path) -> Path:
    return copy_remote(path, file, scratch, max_bytes)


def _in_place(file: Path, scratch: Path) -> Path:
    return file


def _size_of(file: Path) -> int | None:
    try:
        return file.stat().st_size
    except OSError:
        return None
