"""Notion exports: a zip file or the folder that it unpacks to, of Markdown pages and CSV databases.

Notion puts the 32 hexadecimal digits of a page's id into every file and folder name and every link. Here a page's
path is its titles, `Handbook/Travel.md`, and a link says the title of the page that it leads to.
"""

from __future__ import annotations

import csv
import io
import re
import weakref
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Literal, NamedTuple
from urllib.parse import quote, unquote

from pydantic import Field

from steps.errors import InputError
from steps.extraction.folders import hash_of, require_local
from steps.extraction.found import FileChoice, FoundFile, chosen_by, require_any, scratch_file
from steps.extraction.parts import markdown_table
from steps.extraction.reasons import ExtractDrop, UnusableError

_ID = re.compile(r"[ _-]([0-9a-f]{32})(?=(_all)?(\.[A-Za-z0-9]+)?$|(_all)?$)")
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(([^()\s]+(?:\([^()]*\)[^()\s]*)*)\)")
#: Notion cuts a large export into parts, zip files inside of the one that is downloaded.
_PART = re.compile(r"(.*/)?ExportBlock-[^/]*\.zip|.*Part-\d+\.zip", re.IGNORECASE)
#: Files of one export; more are refused, as their names alone would fill the memory.
MAX_MEMBERS = 500_000


class NotionSource(FileChoice):
    """An export of a Notion workspace, as "Markdown & CSV" or "HTML"."""

    type: Literal["notion"] = "notion"
    path: str
    """Zip file of the export, or the folder that it was unpacked to."""
    include: tuple[str, ...] = ("**/*.md", "**/*.csv", "**/*.html", "**/*.pdf", "**/*.docx", "**/*.txt")
    """Globs of the files to read, ids stripped from their names."""
    databases: Literal["table", "rows"] = "table"
    """What a database becomes: one document with a table, or one document per row with a line per property."""
    max_total_mb: float = Field(default=5_000.0, gt=0)
    """Largest export to read, in megabytes after decompression."""


class _Member(NamedTuple):
    name: str
    n_bytes: int
    read: Callable[[], bytes]


def check_notion(source: NotionSource, key: str) -> None:
    """Check that the export holds a page or a database.

    Raises:
        InputError: naming the config key.
    """
    require_local(source.path, f"{key}.path")
    is_chosen = chosen_by(source)
    found = any(is_chosen(_clean(member.name)) for member in _Export(source).members)
    require_any(found, f"{key}.path", source.path, source.include)


def notion_versions(source: NotionSource, fetched: Path) -> Iterable[str]:
    """Yield the names and contents of the export's files."""
    if Path(source.path).is_file():
        return [hash_of(Path(source.path))]
    files = sorted(file for file in Path(source.path).rglob("*") if file.is_file())
    return (f"{file.relative_to(source.path).as_posix()}\0{hash_of(file)}" for file in files)


def notion_files(source: NotionSource, fetched: Path) -> Iterator[FoundFile]:
    """Yield the pages and databases of an export, sorted by their cleaned paths.

    Raises:
        InputError: if the export is no zip file, or out of its bounds.
    """
    export = _Export(source)
    # `X_all.csv` has all rows and properties of a database, `X.csv` those of the view that was exported.
    names = {member.name for member in export.members}
    members = [m for m in export.members if f"{m.name.removesuffix('.csv')}_all.csv" not in names]
    paths = _clean_paths(member.name for member in members)
    is_chosen = chosen_by(source)
    for member in sorted(members, key=lambda member: paths[member.name]):
        if not is_chosen(paths[member.name]):
            continue
        if member.name.lower().endswith(".csv"):
            yield from _database(member, paths[member.name], source)
            continue
        fetch = partial(_page, member, paths, source)
        yield FoundFile(paths[member.name], fetch, member.n_bytes, licence=source.licence)


def _page(member: _Member, paths: Mapping[str, str], source: NotionSource, scratch: Path) -> Path:
    content = _bounded(member, source)
    if member.name.lower().endswith(".md"):
        text = content.decode("utf-8", "surrogateescape")
        content = resolve_links(text, member.name, paths).encode("utf-8", "surrogateescape")
    return _kept(content, member.name, scratch)


def resolve_links(text: str, name: str, paths: Mapping[str, str]) -> str:
    """Let links between pages lead to cleaned paths, and say titles where they said file names.

    Args:
        text: Markdown of a page.
        name: The page's name in the export, which links are relative to.
        paths: Cleaned path of every name in the export.
    """

    def resolved(found: re.Match[str]) -> str:
        mark, words, target = found.groups()
        path = paths.get(_joined(PurePosixPath(name).parent, unquote(target.partition("#")[0])))
        if path is None and "notion.so/" in target:
            page_id = re.search(r"([0-9a-f]{32})", target)
            path = next((paths[other] for other in paths if page_id and page_id[1] in other), None)
        if path is None:
            return found[0]
        title = PurePosixPath(path).stem
        says_file = re.search(r"[0-9a-f]{32}|^https?://", unquote(words)) or not words.strip()
        return f"{mark}[{title if says_file else words}]({quote(path)})"

    return _LINK.sub(resolved, text)


def _database(member: _Member, path: str, source: NotionSource) -> Iterator[FoundFile]:
    """Yield a database as one Markdown table, or a document per row; one that cannot be read is one file."""
    path = path.removesuffix(".csv")
    try:
        text = _bounded(member, source).decode("utf-8-sig")
        rows = [row for row in csv.reader(io.StringIO(text)) if row]
        if len(rows) < 2:
            raise UnusableError(ExtractDrop.EMPTY_FILE, "a database without rows")
    except UnicodeDecodeError as error:
        unusable = UnusableError(ExtractDrop.UNKNOWN_ENCODING, f"not UTF-8: {error.reason} at byte {error.start}")
    except csv.Error as error:
        unusable = UnusableError(ExtractDrop.RAGGED_ROW, str(error))
    except UnusableError as error:
        unusable = error
    else:
        yield from _documents(rows, path, source)
        return
    yield FoundFile(f"{path}.csv", partial(_fail, unusable), member.n_bytes, licence=source.licence)


def _documents(rows: list[list[str]], path: str, source: NotionSource) -> Iterator[FoundFile]:
    title = PurePosixPath(path).name
    if source.databases == "table":
        fetch = partial(_kept, f"# {title}\n\n{markdown_table(rows)}".encode(), f"{title}.md")
        yield FoundFile(f"{path}.md", fetch, licence=source.licence)
        return
    header = rows[0]
    for number, row in enumerate(rows[1:]):
        name = row[0].strip() or f"row {number}"
        lines = [f"{key}: {value.strip()}" for key, value in zip(header[1:], row[1:], strict=False) if value.strip()]
        fetch = partial(_kept, "\n\n".join([f"# {name}", "\n".join(lines)]).encode(), f"{title}.md")
        yield FoundFile(f"{path}/{number}.md", fetch, licence=source.licence, title=name)


def _clean_paths(names: Iterable[str]) -> dict[str, str]:
    """Return each name without ids; two that would be one keep the first digits of theirs."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for name in sorted(names):
        path = _clean(name)
        if path in taken:
            ids = _ID.findall(name) or re.findall(r"([0-9a-f]{32})", name) or ["0"]
            digits = (ids[-1][0] if isinstance(ids[-1], tuple) else ids[-1])[:8]
            place = PurePosixPath(path)
            path = str(place.with_name(f"{place.stem} {digits}{place.suffix}"))
        taken.add(path)
        found[name] = path
    return found


def _clean(name: str) -> str:
    """Strip the ids from a path.

    >>> _clean("Team 0123456789abcdef0123456789abcdef/To do fedcba9876543210fedcba9876543210.md")
    'Team/To do.md'
    """
    return "/".join(re.sub(r"_all(?=\.csv$)", "", _ID.sub("", part)) or part for part in name.split("/"))


def _joined(folder: PurePosixPath, target: str) -> str:
    """Resolve `..` and `.` in a relative link."""
    parts: list[str] = [] if target.startswith("/") else list(folder.parts)
    for part in target.split("/"):
        if part == ".." and parts:
            parts.pop()
        elif part not in {"", ".", ".."}:
            parts.append(part)
    return "/".join(parts)


def _bounded(member: _Member, source: NotionSource) -> bytes:
    if member.n_bytes > source.max_file_mb * 1e6:
        said = f"{member.n_bytes / 1e6:.1f} MB, max_file_mb={source.max_file_mb:g}"
        raise UnusableError(ExtractDrop.TOO_LARGE_FILE, said)
    try:
        return member.read()
    except OSError as error:
        raise UnusableError(ExtractDrop.UNREADABLE_FILE, error.strerror or str(error)) from None
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError) as error:
        raise UnusableError(ExtractDrop.BROKEN_ARCHIVE, str(error)[:200]) from None


def _kept(content: bytes, name: str, scratch: Path) -> Path:
    target = scratch_file(scratch, name)
    target.write_bytes(content)
    return target


def _fail(error: UnusableError, scratch: Path) -> Path:
    raise error


class _Export:
    """The files of an export, whether packed or not.

    Archives are open until the last member is gone: files are fetched after all of them were listed.
    """

    def __init__(self, source: NotionSource) -> None:
        self._source = source
        self._open: list[IO[bytes] | zipfile.ZipFile] = []
        weakref.finalize(self, _close, self._open)
        self.members: list[_Member] = []
        root = Path(self._source.path)
        if root.is_dir():
            files = [file for file in sorted(root.rglob("*")) if file.is_file()]
            self.members = [
                _Member(file.relative_to(root).as_posix(), file.stat().st_size, file.read_bytes) for file in files
            ]
        else:
            try:
                self._add(zipfile.ZipFile(root), depth=0)
            except zipfile.BadZipFile as error:
                raise self._refused(f"is no zip file ({error}); name the export as Notion gave it") from None
        n_mb = sum(member.n_bytes for member in self.members) / 1e6
        if n_mb > self._source.max_total_mb:
            raise self._refused(f"unpacks to {n_mb:.0f} MB, more than max_total_mb={self._source.max_total_mb:g}")

    def _add(self, archive: zipfile.ZipFile, depth: int) -> None:
        self._open.append(archive)
        infos = [info for info in archive.infolist() if not info.is_dir()]
        if len(self.members) + len(infos) > MAX_MEMBERS:
            raise self._refused(f"holds more than {MAX_MEMBERS} files")
        for info in infos:
            if depth == 0 and _PART.fullmatch(info.filename):
                self._add_part(archive, info)
            else:
                self.members.append(_Member(info.filename, info.file_size, partial(self._unpacked, archive, info)))

    def _add_part(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
        import tempfile

        if info.file_size > self._source.max_total_mb * 1e6:
            raise self._refused(f"holds a part larger than max_total_mb={self._source.max_total_mb:g}")
        part = tempfile.TemporaryFile(prefix="tunesmith-notion-")  # noqa: SIM115 (closed on exit)
        self._open.append(part)
        with archive.open(info) as packed:
            while chunk := packed.read(1 << 20):
                part.write(chunk)
        self._add(zipfile.ZipFile(part), depth=1)

    def _refused(self, said: str) -> InputError:
        return InputError(f"source {self._source.name}: {self._source.path} {said}")

    def _unpacked(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
        """Read a member, but not beyond the size that it states: a forged one unpacks to more than was allowed for."""
        with archive.open(info) as packed:
            content = packed.read(info.file_size + 1)
        if len(content) > info.file_size:
            raise zipfile.BadZipFile("the member is larger than it states")
        return content


def _close(opened: list[IO[bytes] | zipfile.ZipFile]) -> None:
    for archive in reversed(opened):
        archive.close()
