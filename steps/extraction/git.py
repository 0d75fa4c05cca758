"""Documents of a Git repository: blobs of one commit, read from the object database without a checkout.

A repository is a stranger's: nothing of it is executed. There is no working tree, so that no filter, hook or
submodule runs; no file-system monitor, no other protocol than those named, no prompt; time and size are bounded.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Literal, NamedTuple

from pydantic import Field, field_validator

from steps.errors import InputError
from steps.extraction.found import FileChoice, FoundFile, chosen_by, require_any, scratch_file
from steps.extraction.licences import LICENCE_FILES, licence_of_text
from steps.extraction.reasons import ExtractDrop, UnusableError

_SAFE = (
    *("-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "core.symlinks=false"),
    *("-c", "protocol.ext.allow=never", "-c", "submodule.recurse=false", "-c", "gc.auto=0", "-c", "safe.directory=*"),
    *("-c", "maintenance.auto=false", "-c", "fetch.fsckObjects=true", "-c", "core.alternateRefsCommand=true"),
)
_REGULAR_MODES = (b"100644", b"100755", b"100664")
_LFS_MARK = b"version https://git-lfs.github.com/spec/"
#: Seconds between two looks at the size of what is being fetched.
_WATCH_INTERVAL_S = 0.1
#: A licence's text is 1 to 35 KB.
_MAX_LICENCE_BYTES = 200_000


class GitSource(FileChoice):
    """The documents of a Git repository at one commit."""

    type: Literal["git"] = "git"
    url: str
    """Repository: a local path, or an `https://` or `ssh://` URL (`git@host:path` too)."""
    ref: str = "HEAD"
    """Branch, tag or commit to read."""
    max_repository_mb: float = Field(default=2_000.0, gt=0)
    """Largest fetch of a remote repository (of the one commit's objects), in megabytes."""
    timeout_s: float = Field(default=600.0, gt=0)
    """Seconds that any one Git command may take."""

    @field_validator("ref", "url")
    @classmethod
    def _is_no_option(cls, value: str) -> str:
        if value.startswith("-") or any(character in value for character in "\0\n") or not value.strip():
            raise ValueError("is no name: it is empty, begins with a dash or holds a line break")
        return value

    @field_validator("url")
    @classmethod
    def _known_place(cls, value: str) -> str:
        if "::" in value or ("://" in value and not value.startswith(("https://", "ssh://", "file://"))):
            raise ValueError("is neither a local path nor https:// nor ssh://")
        if re.match(r"https://[^/@]*:[^/@]*@", value):
            raise ValueError("holds a password; leave it to Git's credential helper")
        return value


class _Blob(NamedTuple):
    path: str
    blob: str
    n_bytes: int


def check_git(source: GitSource, key: str) -> None:
    """Check that Git is there and knows the repository and the ref.

    Raises:
        InputError: naming the config key.
    """
    commit = _commit(source, key)
    if _is_local(source.url):
        is_chosen = chosen_by(source)
        found = any(is_chosen(blob.path) for blob in _blobs(Path(source.url), commit, source))
        require_any(found, f"{key}.url", f"{source.url}@{source.ref}", source.include)


def git_versions(source: GitSource, fetched: Path) -> Iterable[str]:
    """Return the commit: it names all that it holds."""
    return [_commit(source, source.name)]


def git_files(source: GitSource, fetched: Path) -> Iterator[FoundFile]:
    """Yield the chosen files of the commit, which stands behind the path in tables, `docs/a.md@3f2c…`.

    Raises:
        InputError: if the repository cannot be fetched within its bounds.
    """
    commit = _commit(source, source.name)
    repository = Path(source.url) if _is_local(source.url) else _fetched(source, commit, fetched)
    blobs = list(_blobs(repository, commit, source))
    is_chosen = chosen_by(source)
    content_of = _BlobReader(repository)
    licence = source.licence or _licence(blobs, content_of)
    max_bytes = int(source.max_file_mb * 1e6)
    for blob in blobs:
        if is_chosen(blob.path):
            fetch = partial(_write, blob, content_of, max_bytes)
            yield FoundFile(blob.path, fetch, blob.n_bytes, f"git\0{blob.blob}", licence, at=commit[:12])


def _commit(source: GitSource, key: str) -> str:
    """Resolve the ref."""
    if _is_local(source.url):
        if not Path(source.url).exists():
            raise InputError(f"{key}.url={source.url} does not exist below {Path.cwd()}; correct the path")
        return _git(source, ("rev-parse", "--verify", "--end-of-options", f"{source.ref}^{{commit}}"), Path(source.url))
    if re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", source.ref):
        return source.ref
    listed: dict[str, str] = {}
    for line in _git(source, ("ls-remote", "--", source.url, source.ref, f"{source.ref}^{{}}")).splitlines():
        commit, _, name = line.partition("\t")
        listed[name] = commit
    names = (f"refs/tags/{source.ref}^{{}}", f"refs/heads/{source.ref}", f"refs/tags/{source.ref}", source.ref)
    found = next((listed[name] for name in names if name in listed), None)
    if found is None:
        raise InputError(f"source {source.name}: {source.url} has no branch, tag or commit {source.ref}; correct `ref`")
    return found


def _fetched(source: GitSource, commit: str, fetched: Path) -> Path:
    """Fetch one commit without its history into a bare repository that is kept between runs."""
    repository = fetched / "git" / hashlib.sha256(source.url.encode()).hexdigest()[:24]
    if not (repository / "HEAD").exists():
        repository.mkdir(parents=True, exist_ok=True)
        _git(source, ("init", "--quiet", "--bare", "--template=", str(repository)))
    try:
        _git(source, ("cat-file", "-e", f"{commit}^{{tree}}"), repository)
    except InputError:
        wanted = (
            "--depth=1",
            "--no-tags",
            "--no-recurse-submodules",
            "--no-write-fetch-head",
            "--",
            source.url,
            commit,
        )
        _git(source, ("fetch", "--quiet", *wanted), repository, watched=repository)
    return repository


def _blobs(repository: Path, commit: str, source: GitSource) -> Iterator[_Blob]:
    """List the regular files of a commit; links and submodules are no documents."""
    listed = _git_bytes(source, ("ls-tree", "-r", "-z", "--long", "--full-tree", commit), repository)
    for entry in listed.split(b"\0"):
        facts, _, path = entry.partition(b"\t")
        mode, kind, blob, size = [*facts.split(), b"", b"", b"", b""][:4]
        if kind == b"blob" and mode in _REGULAR_MODES:
            yield _Blob(path.decode("utf-8", "replace"), blob.decode(), int(size))


class _BlobReader:
    """One `git cat-file --batch` for all blobs; calling it returns a blob's content.

    It ends with the last file that refers to it: files are fetched after all of them were listed.
    """

    def __init__(self, repository: Path) -> None:
        command = ["git", *_SAFE, "-C", str(repository), "cat-file", "--batch"]
        self._process = subprocess.Popen(  # noqa: S603 (a list, and no shell)
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=_environment()
        )
        weakref.finalize(self, _end, self._process)

    def __call__(self, blob: str) -> bytes:
        write, read = self._pipes()
        write.write(f"{blob}\n".encode())
        write.flush()
        facts = read.readline().split()
        if len(facts) != 3 or facts[1] != b"blob":
            raise UnusableError(ExtractDrop.UNREADABLE_FILE, f"the repository lacks blob {blob}")
        content = read.read(int(facts[2]))
        read.read(1)
        return content

    def _pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        if self._process.stdin is None or self._process.stdout is None or self._process.poll() is not None:
            raise UnusableError(ExtractDrop.UNREADABLE_FILE, "git cat-file ended early")
        return self._process.stdin, self._process.stdout


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.communicate()


def _write(blob: _Blob, content_of: Callable[[str], bytes], max_bytes: int, scratch: Path) -> Path:
    if blob.n_bytes > max_bytes:
        said = f"{blob.n_bytes / 1e6:.1f} MB, max_file_mb={max_bytes / 1e6:g}"
        raise UnusableError(ExtractDrop.TOO_LARGE_FILE, said)
    content = content_of(blob.blob)
    if content.startswith(_LFS_MARK):
        raise UnusableError(ExtractDrop.GIT_LFS_POINTER, "the content lies in Git LFS, not in the repository")
    target = scratch_file(scratch, blob.path)
    target.write_bytes(content)
    return target


def _licence(blobs: Sequence[_Blob], content_of: Callable[[str], bytes]) -> str | None:
    """Return the licence of the files at the root that hold one, if they agree."""
    texts = [
        content_of(blob.blob).decode("utf-8", "replace")
        for blob in blobs
        if blob.path in LICENCE_FILES and blob.n_bytes <= _MAX_LICENCE_BYTES
    ]
    found = {licence_of_text(text) for text in texts}
    return found.pop() if len(found) == 1 else None


def _is_local(url: str) -> bool:
    return "://" not in url and not re.match(r"[^/]+@[^/]+:", url)


def _git(source: GitSource, arguments: Sequence[str], folder: Path | None = None, watched: Path | None = None) -> str:
    return _git_bytes(source, arguments, folder, watched).decode("utf-8", "replace").strip()


def _git_bytes(
    source: GitSource, arguments: Sequence[str], folder: Path | None = None, watched: Path | None = None
) -> bytes:
    """Run a Git command within `timeout_s`, and as long as `watched` stays below `max_repository_mb`.

    Raises:
        InputError: if Git is missing, fails, or goes out of bounds.
    """
    place = ["-C", str(folder)] if folder is not None else []
    try:
        process = subprocess.Popen(  # noqa: S603 (a list, and no shell)
            ["git", *_SAFE, *place, *arguments],  # noqa: S607 (the git that the user runs)
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(),
        )
    except FileNotFoundError:
        raise InputError(f"source {source.name}: the program `git` is not installed; install it") from None
    ends_at = time.monotonic() + source.timeout_s
    said = ""
    while True:
        try:
            output, errors = process.communicate(timeout=_WATCH_INTERVAL_S)
            break
        except subprocess.TimeoutExpired:
            said = _out_of_bounds(source, ends_at, watched)
            if said:
                process.kill()
    if said or process.returncode:
        said = said or errors.decode("utf-8", "replace").strip()[-300:] or f"exit code {process.returncode}"
        raise InputError(f"source {source.name}: git {arguments[0]} of {source.url} at {source.ref} failed: {said}")
    return output


def _out_of_bounds(source: GitSource, ends_at: float, watched: Path | None) -> str:
    if time.monotonic() > ends_at:
        return f"it took longer than timeout_s={source.timeout_s:g}"
    if watched is not None:
        size_mb = sum(file.stat().st_size for file in watched.rglob("*") if file.is_file()) / 1e6
        if size_mb > source.max_repository_mb:
            return f"it is larger than max_repository_mb={source.max_repository_mb:g}"
    return ""


def _environment() -> dict[str, str]:
    """Return the caller's environment without what would steer Git elsewhere, and without prompts."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name == "GIT_SSH_COMMAND"
    }
    return {
        **kept,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": "https:ssh:file",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_LFS_SKIP_SMUDGE": "1",
        "GIT_ATTR_NOSYSTEM": "1",
        "LC_ALL": "C",
    }
