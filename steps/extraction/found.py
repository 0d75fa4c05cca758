"""What every source of documents hands over: named files, whose content is fetched only when it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Annotated, BinaryIO, NamedTuple

from pydantic import Field, StringConstraints

from steps.errors import InputError
from steps.extraction.globs import any_of
from steps.extraction.reasons import ExtractDrop, UnusableError
from steps.settings import Settings

SourceName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]

#: What a source of documents reads unless it is told otherwise: every format that has a reader of its own. Tables of
#: text (CSV) are more often data than documents.
DOCUMENT_SUFFIXES = (
    *("md", "markdown", "mdx", "qmd", "rmd", "rst", "rest", "adoc", "asciidoc", "asc", "html", "htm", "xhtml", "txt"),
    *("pdf", "docx", "docm", "dotx", "pptx", "pptm", "xlsx", "xlsm", "epub", "ipynb", "vtt", "srt"),
)
#: What `code: true` adds.
CODE_SUFFIXES = (
    *("py", "pyi", "js", "jsx", "mjs", "ts", "tsx", "java", "kt", "scala", "go", "rs", "c", "h", "cc", "cpp", "hpp"),
    *("cs", "swift", "rb", "php", "lua", "r", "jl", "sh", "bash", "sql", "proto"),
)
#: Bytes read, hashed or copied at a time.
CHUNK_BYTES = 1 << 20


class FoundFile(NamedTuple):
    """One file of a source. `fetch` takes a scratch folder and returns where the content lies on this machine.

    `fetch` raises `UnusableError` with the reason why there is no content. What it wrote below the scratch folder is
    removed when the file has been read. `version` names the content where the source knows it without fetching it
    (a blob's id, an object's entity tag), so that a file which was read before is not even fetched again. `at` is the
    state of the source that was read (a commit): it stands behind the path in tables, but is no part of a row's id, so
    that a row keeps its id for as long as its file is the same. `is_here` says that `fetch` only names a local file,
    `read_as` is a name that tells the format where the path does not.
    """

    path: str
    fetch: Callable[[Path], Path]
    n_bytes: int | None = None
    version: str | None = None
    licence: str | None = None
    title: str | None = None
    at: str | None = None
    is_here: bool = False
    read_as: str | None = None

    @property
    def name(self) -> str:
        """The name by which the reader is chosen."""
        return self.read_as or self.path

    @property
    def shown_path(self) -> str:
        """The path as it stands in tables."""
        return f"{self.path}@{self.at}" if self.at else self.path


class FileChoice(Settings):
    """Which files of a place are documents, and how large they may be."""

    name: SourceName
    """Name of the source in tables and reports; unique within a run."""
    include: tuple[str, ...] = tuple(f"**/*.{suffix}" for suffix in DOCUMENT_SUFFIXES)
    """Globs of the files to read, relative to the place; `**/` is any depth, case does not matter."""
    exclude: tuple[str, ...] = ("**/.*/**", "**/node_modules/**", "**/__pycache__/**")
    """Globs of files to leave out though they are included; hidden folders by default."""
    code: bool = False
    """Whether source code (by its usual suffixes) is read beside what `include` names."""
    licence: str | None = None
    """Licence of the documents, as an SPDX identifier. What a file states itself (an SPDX tag in its header, front
    matter, the Creative Commons link of a page) wins over it, since a folder often holds files of other hands. Where
    neither says one, folders on this machine and Git repositories take it from their licence files."""
    max_file_mb: float = Field(default=50.0, gt=0)
    """Largest file to read, in megabytes; larger ones are dropped with a reason."""


def chosen_by(choice: FileChoice) -> Callable[[str], bool]:
    """Return the test by which a path, relative to its place, is read or left alone."""
    code = tuple(f"**/*.{suffix}" for suffix in CODE_SUFFIXES) if choice.code else ()
    include, exclude = any_of((*choice.include, *code)), any_of(choice.exclude)
    return lambda name: bool(include.fullmatch(name)) and not exclude.fullmatch(name)


def require_any(found: bool, key: str, value: str, wanted: tuple[str, ...]) -> None:
    """Raise unless a source holds something to read.

    Raises:
        InputError: naming the config key, and what was looked for.
    """
    if not found:
        raise InputError(f"{key}={value} holds no file to read; expected {', '.join(wanted)}")


def scratch_file(scratch: Path, path: str) -> Path:
    """Return a fresh path below the scratch folder with the suffix of `path`, by which the reader is chosen.

    Its own folder holds the temporary name, so that no name of a source, however hostile, reaches the file system.
    """
    import tempfile

    suffix = PurePosixPath(path).suffix.lower()
    suffix = suffix if suffix[1:].isalnum() and suffix.isascii() and len(suffix) <= 12 else ""
    return Path(tempfile.mkdtemp(dir=scratch), f"content{suffix}")


def write_bounded(stream: BinaryIO, target: Path, max_bytes: int) -> Path:
    """Write a stream to a file, giving up as soon as it is longer than `max_bytes`.

    Raises:
        UnusableError: `too_large_file`; nothing is left at `target`.
    """
    n_written = 0
    with target.open("wb") as file:
        while n_written <= max_bytes and (chunk := stream.read(CHUNK_BYTES)):
            n_written += len(chunk)
            file.write(chunk)
    if n_written > max_bytes:
        target.unlink()
        raise UnusableError(ExtractDrop.TOO_LARGE_FILE, f"more than max_file_mb={max_bytes / 1e6:g}")
    return target


def printable(path: str) -> str:
    """Return a path as it stands in tables; bytes that are no UTF-8 become `\ufffd`."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
