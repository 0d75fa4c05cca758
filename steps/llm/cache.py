"""Every reply that was paid for, kept in one SQLite file: an interrupted or repeated run asks only for the rest.

The file can be read without Tunesmith. `sqlite3 replies.sqlite 'SELECT * FROM spending'` says what it holds per model.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from steps.errors import InputError

#: `PRAGMA user_version` of the file. 0 had the table `replies(key, reply)` alone.
VERSION = 1
#: Seconds that a reader or writer waits for another process before it gives up.
_BUSY_S = 30.0
#: Keys of one SELECT; SQLite takes 32,766 parameters, and beyond some hundreds nothing is gained.
_KEYS_AT_ONCE = 500
#: Shorter JSON is kept as it is: packing 200 bytes saves 60 and costs a third of the time of reading them.
_PACK_FROM_BYTES = 400

_TABLES = """
CREATE TABLE IF NOT EXISTS replies (key TEXT PRIMARY KEY, reply BLOB NOT NULL, model TEXT, cost_usd REAL);
CREATE TABLE IF NOT EXISTS probes (key TEXT PRIMARY KEY, found TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS batches (
    tag TEXT PRIMARY KEY, endpoint TEXT NOT NULL, keys BLOB NOT NULL, input_file TEXT, id TEXT, state TEXT NOT NULL
);
CREATE VIEW IF NOT EXISTS spending AS
    SELECT model, count(*) AS replies, sum(cost_usd) AS cost_usd FROM replies GROUP BY model;
"""


class BatchRow(NamedTuple):
    """One submission to a batch endpoint. It is written before anything is sent, so that a killed run finds it."""

    tag: str
    """Our own name for it; it stands in the batch's metadata at the endpoint."""
    endpoint: str
    keys: list[str]
    """Keys of the requests whose replies are still to be fetched."""
    input_file: str | None = None
    """Id of the uploaded file, once it is known."""
    id: str | None = None
    """Id of the batch, once it is known."""
    state: str = "open"
    """`open` until all that it answered is in the cache, then the endpoint's last word: `completed`, `expired`, …"""


class ReplyCache:
    """Maps a request's SHA-256 to its reply. Several processes, and several threads, may use one file at once.

    A put is in the write-ahead log when it returns, in the hands of the operating system: `kill -9` loses nothing. The
    disk itself is waited for at checkpoints only (`synchronous=NORMAL`): a power cut may lose the last puts, and never
    damages the file. The rows of batches, which would cost a whole batch, do wait for the disk.

    Raises:
        InputError: here and in every method, if the file cannot be opened, read or written, with what to do.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        # One connection serves all threads; without the lock, one thread's put would join another's transaction.
        self._lock = threading.RLock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.OperationalError) as error:
            raise InputError(
                f"cache_path={path} cannot be opened ({error}); name a file in a writable folder"
            ) from None
        try:
            with self._told():
                self._version()
                self._use_write_ahead_log()
                self._db.execute("PRAGMA synchronous=NORMAL")
                self._migrate()
        except BaseException:
            self._db.close()
            raise

    def get(self, key: str) -> dict[str, Any] | None:
        """Return the stored reply, or None."""
        return self.get_many([key]).get(key)

    def get_many(self, keys: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Return the stored replies of those keys that have one."""
        wanted = list(dict.fromkeys(keys))
        found: dict[str, dict[str, Any]] = {}
        with self._told():
            for at in range(0, len(wanted), _KEYS_AT_ONCE):
                some = wanted[at : at + _KEYS_AT_ONCE]
                query = f"SELECT key, reply FROM replies WHERE key IN ({','.join('?' * len(some))})"  # noqa: S608
                found.update((key, self._unpacked(key, packed)) for key, packed in self._db.execute(query, some))
        return found

    def put(self, key: str, reply: dict[str, Any]) -> None:
        """Store a reply and commit it; the first reply to a request stands."""
        self.put_many([(key, reply)])

    def put_many(self, pairs: Iterable[tuple[str, dict[str, Any]]]) -> None:
        """Store replies in one transaction: all of them, or none."""
        rows = [(key, _packed(reply), reply.get("model"), reply.get("cost_usd")) for key, reply in pairs]
        with self._transaction():
            self._db.executemany(
                "INSERT OR IGNORE INTO replies (key, reply, model, cost_usd) VALUES (?, ?, ?, ?)", rows
            )

    def get_probe(self, key: str) -> dict[str, Any] | None:
        """Return what an endpoint was found to be capable of, or None."""
        with self._told():
            row = self._db.execute("SELECT found FROM probes WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        found: dict[str, Any] = json.loads(row[0])
        return found

    def put_probe(self, key: str, found: dict[str, Any]) -> None:
        """Store what an endpoint was found to be capable of; unlike with replies, the last word stands."""
        with self._transaction():
            self._db.execute("INSERT OR REPLACE INTO probes VALUES (?, ?)", (key, json.dumps(found)))

    def put_batch(self, row: BatchRow) -> None:
        """Store a submission, or what has become of it, and wait until the disk has it."""
        tag, endpoint, keys, *rest = row
        packed = zlib.compress(json.dumps(keys).encode())
        with self._told():
            self._db.execute("PRAGMA synchronous=FULL")
            try:
                with self._transaction():
                    self._db.execute(
                        "INSERT INTO batches VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (tag) DO UPDATE "
                        "SET keys = excluded.keys, input_file = excluded.input_file, id = excluded.id, "
                        "state = excluded.state",
                        (tag, endpoint, packed, *rest),
                    )
            finally:
                self._db.execute("PRAGMA synchronous=NORMAL")

    def open_batches(self, endpoint: str) -> list[BatchRow]:
        """Return the submissions to an endpoint whose results are not in the cache yet, oldest first."""
        query = (
            "SELECT tag, endpoint, keys, input_file, id, state FROM batches "
            "WHERE endpoint = ? AND state = 'open' ORDER BY rowid"
        )
        with self._told():
            rows = self._db.execute(query, (endpoint,)).fetchall()
        return [BatchRow(tag, at, json.loads(zlib.decompress(keys)), *rest) for tag, at, keys, *rest in rows]

    def summary(self) -> dict[str, Any]:
        """Return `replies`, `bytes` (of the file and its log) and per model `{replies, cost_usd}` (None: unknown)."""
        with self._told():
            rows = self._db.execute("SELECT model, replies, cost_usd FROM spending ORDER BY model").fetchall()
        files = [self._path, self._path.with_name(f"{self._path.name}-wal")]
        return {
            "replies": sum(replies for _, replies, _ in rows),
            "bytes": sum(file.stat().st_size for file in files if file.exists()),
            "models": {model: {"replies": replies, "cost_usd": cost_usd} for model, replies, cost_usd in rows},
        }

    def __len__(self) -> int:
        with self._told():
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

    def _use_write_ahead_log(self) -> None:
        """Switch the file to its log; SQLite does not wait by itself when two processes do so at once."""
        give_up_at = time.monotonic() + _BUSY_S
        while True:
            try:
                self._db.execute("PRAGMA journal_mode=WAL")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > give_up_at:
                    raise
                time.sleep(0.01)

    def _migrate(self) -> None:
        if self._version() == VERSION:
            return
        with self._transaction():
            version = self._version()  # another process may have been faster
            if version == VERSION:
                return
            is_old = bool(self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'replies'").fetchone())
            if is_old:
                self._db.execute("ALTER TABLE replies ADD COLUMN model TEXT")
                self._db.execute("ALTER TABLE replies ADD COLUMN cost_usd REAL")
            for statement in _TABLES.split(";"):
                self._db.execute(statement)
            if is_old:
                self._fill_in_models()
            self._db.execute(f"PRAGMA user_version={VERSION}")

    def _version(self) -> int:
        """Return the file's version, unless the file is not ours to write to."""
        version = int(self._db.execute("PRAGMA user_version").fetchone()[0])
        names = [name for (name,) in self._db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        if names and "replies" not in names:
            raise InputError(
                f"cache_path={self._path} is not a usable reply cache but the database of another program (it has the "
                f"tables {', '.join(sorted(names))}); name another file"
            )
        if version > VERSION:
            raise InputError(
                f"cache_path={self._path} was written by a newer Tunesmith (version {version} of the file, this one "
                f"knows {VERSION}); update Tunesmith, or name another file"
            )
        return version

    def _fill_in_models(self) -> None:
        keys = [key for (key,) in self._db.execute("SELECT key FROM replies")]
        for at in range(0, len(keys), _KEYS_AT_ONCE):
            replies = self.get_many(keys[at : at + _KEYS_AT_ONCE])
            values = [(reply.get("model"), reply.get("cost_usd"), key) for key, reply in replies.items()]
            self._db.executemany("UPDATE replies SET model = ?, cost_usd = ? WHERE key = ?", values)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._told():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                # A full disk has rolled back already.
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Take the connection for this thread, and say which file failed and what to do."""
        try:
            with self._lock:
                yield
        except sqlite3.OperationalError as error:
            raise InputError(
                f"cache_path={self._path} cannot be used ({error}); see that the disk has room, that the folder is "
                "writable and local, and that no other program holds the file, then run again: nothing in it is lost"
            ) from None
        except sqlite3.Error as error:
            raise InputError(
                f"cache_path={self._path} is not a usable reply cache ({error}); move the file away to start a new "
                f"one, which means paying again for what it held (`sqlite3 {self._path.name} .recover` may save it)"
            ) from None

    def _unpacked(self, key: str, packed: bytes) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(packed if packed[:1] == b"{" else zlib.decompress(packed))
        except (zlib.error, ValueError) as error:
            raise InputError(
                f"cache_path={self._path} is not a usable reply cache (its entry {key} is damaged: {error}); delete "
                "that row of the table `replies`, which means paying for it again"
            ) from None
        return found


def _packed(reply: dict[str, Any]) -> bytes:
    plain = json.dumps(reply, separators=(",", ":")).encode()
    return plain if len(plain) < _PACK_FROM_BYTES else zlib.compress(plain)
