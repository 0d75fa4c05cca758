"""Buckets and other remote places, through fsspec: what lies there, in which version, and a bounded copy of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from steps.errors import InputError
from steps.extraction.found import scratch_file, write_bounded
from steps.extraction.reasons import ExtractDrop, UnusableError

#: Schemes that a path may have, and the extra which brings what fsspec needs for it. Schemes that run commands, open
#: archives inside of archives or fetch from any web server are left out on purpose.
SCHEMES: Mapping[str, str | None] = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs", "file": None, "memory": None}
#: What stores call the checksum of an object; any of them names its content. Buckets know one, file systems do not.
_CHECKSUM_KEYS = ("ETag", "etag", "md5Hash", "crc32c", "checksum", "content_md5")
#: What stands for the content where there is no checksum, together with the size.
_TIME_KEYS = ("mtime", "LastModified", "updated", "created", "modified")


class RemoteFile(NamedTuple):
    """One object: its path relative to the place, its key in the store, its size, and a name of its content."""

    path: str
    key: str
    n_bytes: int | None
    version: str


def is_remote(path: str) -> bool:
    """Return whether a path names a store rather than a local file.

    >>> is_remote("s3://bucket/docs"), is_remote("data/docs")
    (True, False)
    """
    return "://" in path


def check_remote(path: str, config_key: str) -> None:
    """Check the scheme of a remote path, and that fsspec can speak it.

    Raises:
        InputError: naming the config key, and the extra to install.
    """
    scheme, _, rest = path.partition("://")
    if scheme not in SCHEMES or "::" in path or not rest.strip("/"):
        raise InputError(f"{config_key}={path} is not of the form scheme://place; known schemes: {', '.join(SCHEMES)}")
    if "@" in rest.split("/", 1)[0]:
        raise InputError(f"{config_key} holds credentials; leave them to the environment or the store's own settings")
    _file_system(path, config_key)


def remote_files(path: str) -> list[RemoteFile]:
    """List all objects below a remote path (or the one that it names), sorted.

    Raises:
        InputError: if the store cannot be listed.
    """
    system, root = _file_system(path, path)
    try:
        system.invalidate_cache()
        found: dict[str, dict[str, Any]] = system.find(root, detail=True)
    except Exception as error:  # every store's client fails in its own ways; all mean that it cannot be read
        raise _cannot_be_read(path, error) from error
    files = []
    for key, info in sorted(found.items()):
        name = key[len(root) :].lstrip("/") or key.rsplit("/", 1)[-1]
        files.append(RemoteFile(name, key, info.get("size"), f"{path}\0{key}\0{_version(info)}"))
    return files


def copy_remote(path: str, file: RemoteFile, scratch: Path, max_bytes: int) -> Path:
    """Copy one object below the scratch folder.

    Raises:
        UnusableError: `too_large_file` or `unreadable_file`.
    """
    if file.n_bytes is not None and file.n_bytes > max_bytes:
        said = f"{file.n_bytes / 1e6:.1f} MB, max_file_mb={max_bytes / 1e6:g}"
        raise UnusableError(ExtractDrop.TOO_LARGE_FILE, said)
    system, _ = _file_system(path, path)
    try:
        with system.open(file.key, "rb") as stream:
            return write_bounded(stream, scratch_file(scratch, file.path), max_bytes)
    except UnusableError:
        raise
    except Exception as error:  # as above
        raise UnusableError(ExtractDrop.UNREADABLE_FILE, f"{type(error).__name__}: {str(error)[:200]}") from None


def _version(info: Mapping[str, Any]) -> str:
    checksums = [f"{key}={info[key]}" for key in _CHECKSUM_KEYS if info.get(key)]
    times = [f"{key}={info[key]}" for key in _TIME_KEYS if info.get(key)]
    return "\0".join([*(checksums or times), f"size={info.get('size')}"])


def _file_system(path: str, config_key: str) -> tuple[Any, str]:
    from fsspec.core import url_to_fs

    try:
        system, root = url_to_fs(path)
    except ImportError as error:
        extra = SCHEMES.get(path.partition("://")[0])
        raise InputError(
            f"{config_key}={path} needs a library that is not installed ({error}); "
            f"`pip install 'tunesmith[{extra}]'` brings it"
        ) from None
    except Exception as error:  # a client may sign in, or read its settings, when it is made
        raise _cannot_be_read(path, error) from error
    return system, str(root)


def _cannot_be_read(path: str, error: Exception) -> InputError:
    return InputError(
        f"{path} cannot be read: {type(error).__name__}: {str(error)[:300]}. Check the path, the network and the "
        "credentials that this store's own tools use"
    )
