"""Rows of a SQL query: read only, streamed, and no credential outside of the environment."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from pydantic import Field, field_validator, model_validator

from steps.errors import InputError
from steps.extraction.reasons import ExtractDrop, UnusableError
from steps.extraction.row_blocks import BATCH_ROWS, Block, RawRow, of_rows
from steps.extraction.row_sources import RowFormat, RowSettings

_VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"
#: A password in a URL's place for it or among its options; ZenML would replace a placeholder, and store the value.
_SECRET = re.compile(r"://[^/@]*:[^/@]*@|[?&](password|passwd|pwd|token|secret)=|\$\{", re.IGNORECASE)
_READS = re.compile(r"(?:\s|--[^\n]*\n|/\*.*?\*/|\()*(select|with|values|table)\b", re.IGNORECASE | re.DOTALL)
#: How a session refuses to write and stops in time, by dialect; `{ms}` is `timeout_s` in milliseconds.
_SESSION: Mapping[str, tuple[str, ...]] = {
    "sqlite": ("PRAGMA query_only = ON",),
    "postgresql": ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "SET statement_timeout = {ms}"),
    "mysql": ("SET SESSION TRANSACTION READ ONLY", "SET SESSION MAX_EXECUTION_TIME = {ms}"),
    "mariadb": ("SET SESSION TRANSACTION READ ONLY",),
}
#: SQLite asks this often, in virtual machine steps, whether to go on: some thousand times a second.
_SQLITE_STEPS = 100_000


class SqlSource(RowSettings):
    """The rows of a query: conversations, instructions or raw text, by their columns' names."""

    type: Literal["sql"] = "sql"
    url: str | None = None
    """SQLAlchemy URL without a password, e.g. `postgresql://reader@host/database` or `sqlite:///notes.db`."""
    url_env: str | None = Field(default=None, pattern=_VARIABLE)
    """Name of the environment variable that holds the whole URL, instead of `url`."""
    password_env: str | None = Field(default=None, pattern=_VARIABLE)
    """Name of the environment variable that holds the password, never the password."""
    query: str
    """SELECT statement; its columns are the row's keys. ORDER BY keeps the rows' numbers, and with them their ids."""
    version_query: str | None = None
    """Cheap statement whose result changes when the rows do, e.g. `SELECT max(updated_at), count(*) FROM notes`; none
    reads all rows once more before the run, to know whether they changed."""
    format: RowFormat = "auto"
    """Format of the rows; `auto` decides for each row by its keys."""
    text_as: Literal["documents", "messages"] = "documents"
    """What raw text (a column `text`, with `path`, `title`, `licence` if there are) becomes: documents to synthesise
    from, or one assistant turn each."""
    timeout_s: float = Field(default=600.0, gt=0)
    """Seconds that the query may take, reading included."""

    @field_validator("query", "version_query")
    @classmethod
    def _only_reads(cls, value: str | None) -> str | None:
        if value is not None and not _READS.match(value):
            raise ValueError("begins with neither SELECT nor WITH; a source is only read")
        return value

    # A validator of the whole: pydantic shows the value of a field that is wrong, and this one may be a secret.
    @model_validator(mode="after")
    def _no_credentials(self) -> SqlSource:
        if (self.url is None) == (self.url_env is None):
            raise ValueError(f"source {self.name} needs either url or url_env, and not both")
        if self.url is not None and _SECRET.search(self.url):
            raise ValueError(
                f"source {self.name}: url holds a password or a placeholder; name the environment variable of the "
                "password in password_env, or of the whole URL in url_env"
            )
        return self


def check_sql(source: SqlSource, key: str) -> None:
    """Check that the database answers and knows the query.

    Raises:
        InputError: naming the config key.
    """
    with _connection(source, key) as connection:
        next(_rows(connection, source, source.query, 1), None)


def sql_versions(source: SqlSource, fetched: Path) -> Iterator[str]:
    """Yield the result of `version_query`, or else a hash of all rows."""
    import xxhash

    digest = xxhash.xxh3_128()
    with _connection(source, source.name) as connection:
        for row in _rows(connection, source, source.version_query or source.query, source.limit):
            digest.update(repr(tuple(row.items())).encode("utf-8", "surrogatepass"))
    yield str(digest.hexdigest())


def sql_blocks(source: SqlSource) -> Iterator[Block]:
    """Yield the rows of the query.

    Raises:
        InputError: if the query fails or takes longer than `timeout_s`.
    """
    with _connection(source, source.name) as connection:
        batch: list[RawRow] = []
        for number, row in enumerate(_rows(connection, source, source.query, source.limit)):
            batch.append(RawRow("query", number, None, _bounded(row, source.max_row_mb)))
            if len(batch) == BATCH_ROWS:
                yield of_rows(batch)
                batch = []
        if batch:
            yield of_rows(batch)


def _secrets(source: SqlSource) -> dict[str, str]:
    """Return the values of the environment variables that the source names.

    Raises:
        InputError: naming one that is not set.
    """
    names = [name for name in (source.url_env, source.password_env) if name is not None]
    missing = [name for name in names if not os.environ.get(name)]
    if missing:
        raise InputError(
            f"source {source.name}: the environment variable {missing[0]}, which it names, is not set; export it"
        )
    return {name: os.environ[name] for name in names}


@contextmanager
def _connection(source: SqlSource, key: str) -> Iterator[Any]:
    """Connect so that nothing can be written, and roll back whatever happens."""
    import sqlalchemy
    from sqlalchemy.exc import SQLAlchemyError

    secrets = _secrets(source)
    engine = url = None
    try:
        url = sqlalchemy.make_url(source.url if source.url is not None else secrets[str(source.url_env)])
        if source.password_env is not None:
            url = url.set(password=secrets[source.password_env])
        if url.get_backend_name() == "sqlite":
            _require_database(url, source, key)
        engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.pool.NullPool, hide_parameters=True)
        with engine.connect() as connection:
            for statement in _SESSION.get(engine.dialect.name, ()):
                connection.exec_driver_sql(statement.format(ms=int(source.timeout_s * 1_000)))
            connection.rollback()
            if engine.dialect.name == "sqlite":
                _stop_in_time(connection.connection.driver_connection, source.timeout_s)
            try:
                yield connection.execution_options(stream_results=True, max_row_buffer=BATCH_ROWS)
            finally:
                connection.rollback()
    except InputError:
        raise
    except (SQLAlchemyError, ImportError, OSError, ValueError) as error:
        said = _without_secrets(f"{type(error).__name__}: {getattr(error, 'orig', None) or error}", url, secrets)[:400]
        raise InputError(
            f"source {source.name}: the query cannot be run ({said}). Check {key}.url, {key}.query, timeout_s and that "
            "the database's driver is installed"
        ) from None
    finally:
        if engine is not None:
            engine.dispose()


def _rows(connection: Any, source: SqlSource, statement: str, limit: int | None) -> Iterator[dict[str, Any]]:
    """Stream the rows of a statement; colons in it are its own, and no parameters."""
    from sqlalchemy import text

    ends_at = time.monotonic() + source.timeout_s
    result = connection.execute(text(statement.replace(":", "\\:"))).mappings()
    for number, row in enumerate(result.yield_per(1_000)):
        if number == limit:
            return
        if time.monotonic() > ends_at:
            raise InputError(f"source {source.name}: the query took longer than timeout_s={source.timeout_s:g}")
        yield dict(row)


def _bounded(row: dict[str, Any], max_row_mb: float) -> dict[str, Any] | UnusableError:
    n_mb = sum(len(value) for value in row.values() if isinstance(value, str | bytes)) / 1e6
    if n_mb > max_row_mb:
        return UnusableError(ExtractDrop.TOO_LARGE_ROW, f"{n_mb:.1f} MB, max_row_mb={max_row_mb:g}")
    return row


def _require_database(url: Any, source: SqlSource, key: str) -> None:
    """SQLite would make an empty database of a wrong path."""
    if url.database in (None, "", ":memory:") or not Path(url.database.removeprefix("file:")).is_file():
        raise InputError(f"{key}.url={source.url or f'(in {source.url_env})'} names no database file; correct the path")


def _stop_in_time(connection: Any, timeout_s: float) -> None:
    ends_at = time.monotonic() + timeout_s
    connection.set_progress_handler(lambda: int(time.monotonic() > ends_at), _SQLITE_STEPS)


def _without_secrets(said: str, url: Any, secrets: Mapping[str, str]) -> str:
    """Blank out what the environment holds, and the password within it, however a driver quotes it."""
    password = str(url.password or "") if url is not None else ""
    values = {value for secret in (*secrets.values(), password) for value in (secret, quote(secret, safe="")) if value}
    for value in sorted(values, key=len, reverse=True):
        said = said.replace(value, "***")
    return said
