"""Pages that were fetched before, with what a server needs to say that they have not changed."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import xxhash

from steps.errors import InputError


class Page(NamedTuple):
    """One answer of a server. `checked_at` is the Unix time at which the server last stood by it."""

    url: str
    body: bytes
    media_type: str
    etag: str | None
    last_modified: str | None
    checked_at: float

    @property
    def digest(self) -> str:
        """Hash of the content."""
        return str(xxhash.xxh3_128(self.body).hexdigest())


class PageStore:
    """Maps an address to its page, in one SQLite file."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = sqlite3.connect(path, timeout=30.0, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute(
                "CREATE TABLE IF NOT EXISTS pages (url TEXT PRIMARY KEY, body BLOB NOT NULL, media_type TEXT NOT NULL, "
                "etag TEXT, last_modified TEXT, checked_at REAL NOT NULL)"
            )
        except sqlite3.Error as error:
            raise InputError(f"{path} is not a usable store of pages ({error}); remove it to fetch them anew") from None

    def get(self, url: str) -> Page | None:
        """Return the page of an address."""
        row = self._db.execute("SELECT * FROM pages WHERE url = ?", (url,)).fetchone()
        return Page(*row) if row else None

    def put(self, page: Page) -> None:
        """Keep a page in place of an earlier one."""
        self._db.execute("INSERT OR REPLACE INTO pages VALUES (?, ?, ?, ?, ?, ?)", page)

    def confirm(self, url: str, checked_at: float) -> None:
        """Note that the server stood by a page."""
        self._db.execute("UPDATE pages SET checked_at = ? WHERE url = ?", (checked_at, url))

    def remove(self, url: str) -> None:
        """Forget a page that is no longer there."""
        self._db.execute("DELETE FROM pages WHERE url = ?", (url,))

    def __enter__(self) -> PageStore:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._db.close()
