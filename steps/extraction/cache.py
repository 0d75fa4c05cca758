"""What was extracted of a content before, so that an unchanged file is not read again: one SQLite file of JSON.

A key is the hash of a file's content, its suffix (of code its path, with which its text begins), and a hash of the
readers: of their code and their libraries' versions. Whatever else a file is called, or wherever it lies, it is read
once.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any

from steps.errors import InputError
from steps.extraction.documents import format_of
from steps.extraction.isolation import Outcome
from steps.extraction.reasons import ExtractDrop, UnusableError
from steps.extraction.text import Extracted, Place

#: Distributions that the readers import, whose next version may read a file differently.
READER_LIBRARIES = (
    *("charset-normalizer", "docutils", "ftfy", "lxml", "mammoth", "nbformat", "numpy", "openpyxl", "pypdf"),
    *("pdfplumber", "pypdfium2", "python-pptx", "pyyaml", "trafilatura"),
)
#: Reasons that may be gone the next time, or that a setting decides; a file that fails for one of them is read again.
TRANSIENT = frozenset(
    {
        ExtractDrop.UNREADABLE_FILE,
        ExtractDrop.TOO_LARGE_FILE,
        ExtractDrop.TOO_LARGE_TEXT,
        ExtractDrop.READER_TIMED_OUT,
        ExtractDrop.READER_OUT_OF_MEMORY,
        ExtractDrop.READER_CRASHED,
    }
)
#: Share of the bound to which eviction goes down, so that not every run evicts.
KEPT_SHARE = 0.9
#: SQLite takes this many parameters in any build.
_MAX_PARAMETERS = 500


def content_key(digest: str, name: str) -> str:
    """Return what a result is kept by: the content, and what of the name a reader looks at."""
    seen = name if format_of(name) == "code" else PurePosixPath(name).suffix.lower()
    return f"{digest} {seen}"


class ExtractionCache:
    """Maps a content to what was extracted of it. Several processes may use one file at once.

    Args:
        path: SQLite file, made where there is none.
        max_bytes: Bound of the stored results; the least recently used go first.
        readers: Hash of what turns content into a result (`readers_hash`).
    """

    def __init__(self, path: Path, max_bytes: int, readers: str) -> None:
        self._max_bytes, self._readers = max_bytes, readers
        self.n_from_cache = self.n_read = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = sqlite3.connect(path, timeout=30.0, isolation_level=None)
            self._db.execute("PRAGMA auto_vacuum=INCREMENTAL")
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.execute(
                "CREATE TABLE IF NOT EXISTS results "
                "(key TEXT PRIMARY KEY, result BLOB NOT NULL, used_in INTEGER NOT NULL) WITHOUT ROWID"
            )
            self._db.execute("CREATE TABLE IF NOT EXISTS versions (version TEXT PRIMARY KEY, digest TEXT NOT NULL)")
            self._run = 1 + int(self._db.execute("SELECT coalesce(max(used_in), 0) FROM results").fetchone()[0])
        except sqlite3.Error as error:
            raise InputError(
                f"the extraction cache {path} cannot be used ({error}); remove it, files are then read once more"
            ) from None

    def digests(self, versions: Iterable[str]) -> dict[str, str]:
        """Return the content hashes of those versions that were fetched before."""
        return self._select("SELECT version, digest FROM versions WHERE version IN", list(versions))

    def get(self, contents: Iterable[str]) -> dict[str, Outcome]:
        """Return what is known of contents; an entry that is damaged counts as unknown."""
        keys = {self._key(content): content for content in contents}
        stored = self._select("SELECT key, result FROM results WHERE key IN", list(keys))
        found = {keys[key]: result for key, packed in stored.items() if (result := _unpacked(packed)) is not None}
        with self._transaction():
            touched = [(self._run, self._key(content)) for content in found]
            self._db.executemany("UPDATE results SET used_in = ? WHERE key = ?", touched)
        return found

    def put(self, results: Mapping[str, Outcome], versions: Mapping[str, str]) -> None:
        """Keep results by their contents, and contents by their versions, in one transaction."""
        rows = [
            (self._key(content), _packed(result), self._run)
            for content, result in results.items()
            if not (isinstance(result, UnusableError) and result.reason in TRANSIENT)
        ]
        with self._transaction():
            self._db.executemany("INSERT OR REPLACE INTO results VALUES (?, ?, ?)", rows)
            self._db.executemany("INSERT OR REPLACE INTO versions VALUES (?, ?)", list(versions.items()))

    def known(self, contents: Iterable[str]) -> set[str]:
        """Return which contents have a result, without counting that as a use."""
        keys = {self._key(content): content for content in contents}
        stored = self._select("SELECT key, 1 FROM results WHERE key IN", list(keys))
        return {keys[key] for key in stored}

    def __len__(self) -> int:
        return int(self._db.execute("SELECT count(*) FROM results").fetchone()[0])

    def close(self) -> None:
        """Evict what is over the bound, and close the file."""
        self._evict()
        self._db.close()

    def _evict(self) -> None:
        sizes = "SELECT key, length(result) FROM results ORDER BY used_in DESC, key"
        total = int(self._db.execute("SELECT coalesce(sum(length(result)), 0) FROM results").fetchone()[0])
        if total <= self._max_bytes:
            return
        kept, gone = 0, []
        for key, n_bytes in self._db.execute(sizes):
            kept += n_bytes
            if kept > KEPT_SHARE * self._max_bytes:
                gone.append((key,))
        with self._transaction():
            self._db.executemany("DELETE FROM results WHERE key = ?", gone)
            # A version without a result only saves a fetch that has to be made anyway.
            self._db.execute("DELETE FROM versions")
        self._db.execute("PRAGMA incremental_vacuum").fetchall()

    def _key(self, content: str) -> str:
        return f"{content}:{self._readers}"

    def _select(self, statement: str, keys: list[str]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for start in range(0, len(keys), _MAX_PARAMETERS):
            part = keys[start : start + _MAX_PARAMETERS]
            marks = ", ".join("?" * len(part))
            found.update(self._db.execute(f"{statement} ({marks})", part).fetchall())
        return found

    def _transaction(self) -> _Transaction:
        return _Transaction(self._db)

    def __enter__(self) -> ExtractionCache:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class _Transaction:
    """All of a block, or nothing of it: a run that is killed leaves the file as it was."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._db.execute("COMMIT" if kind is None else "ROLLBACK")


def _packed(result: Outcome) -> bytes:
    if isinstance(result, UnusableError):
        value: dict[str, Any] = {"reason": result.reason.value, "detail": result.detail}
    else:
        value = {"format": result[0], **result[1]._asdict(), "repairs": dict(result[1].repairs)}
    return zlib.compress(json.dumps(value).encode(), 1)


def _unpacked(packed: bytes) -> Outcome | None:
    try:
        value = json.loads(zlib.decompress(packed))
        if "reason" in value:
            return UnusableError(ExtractDrop(value["reason"]), value["detail"])
        places = tuple(Place(*place) for place in value.pop("offset_map"))
        return value.pop("format"), Extracted(**value, offset_map=places)
    except (zlib.error, ValueError, KeyError, TypeError):
        return None


def readers_hash() -> str:
    """Return a hash of the readers: of every module that `documents` imports, and of `READER_LIBRARIES`' versions."""
    import ast
    from importlib import metadata

    import xxhash

    root = Path(__file__).resolve().parents[2]
    waiting, seen = [Path(__file__).with_name("documents.py")], set[Path]()
    while waiting:
        file = waiting.pop()
        if file in seen or not file.is_file():
            continue
        seen.add(file)
        for node in ast.walk(ast.parse(file.read_bytes())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            waiting += [root / f"{name.replace('.', '/')}.py" for name in names if name.startswith("steps.")]
    digest = xxhash.xxh3_128()
    for file in sorted(seen):
        digest.update(f"{file.relative_to(root)}\0".encode() + file.read_bytes())
    for library in READER_LIBRARIES:
        digest.update(f"{library}=={metadata.version(library)}\0".encode())
    return str(digest.hexdigest())
