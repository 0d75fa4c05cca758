import sqlite3
from pathlib import Path

import pytest
from pydantic import ValidationError

from pipelines.config import explain
from steps.errors import InputError
from steps.extraction.extract import extract
from steps.extraction.reasons import UnusableError
from steps.extraction.row_files import rows_of_source
from steps.extraction.sources import ExtractionSettings, Sources, check_sources, fingerprint
from steps.extraction.sql import SqlSource


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "notes.db"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, title TEXT, body TEXT, licence TEXT)")
        db.executemany(
            "INSERT INTO notes VALUES (?, ?, ?, ?)", [(1, "One", "Text at 10:30.", "MIT"), (2, "Two", "More.", None)]
        )
    db.close()
    return path


def source(
    database: Path, query: str = "SELECT title, body AS text, licence FROM notes ORDER BY id", **settings: object
) -> SqlSource:
    return SqlSource.model_validate({"name": "db", "url": f"sqlite:///{database}", "query": query, **settings})


def test_rows_of_a_query_become_documents_with_their_titles(database: Path) -> None:
    check_sources([source(database)])
    found = extract(Sources(sources=(source(database),)), ExtractionSettings()).documents.to_pylist()
    assert [(row["path"], row["title"], row["text"], row["licence"]) for row in found] == [
        ("query:0", "One", "Text at 10:30.", "MIT"),
        ("query:1", "Two", "More.", None),
    ]


def test_columns_limit_and_colons_in_the_query_are_kept(database: Path) -> None:
    query = "SELECT title AS q, body AS a FROM notes WHERE body LIKE '%10:30%'"
    chosen = source(database, query, columns={"q": "instruction", "a": "output"}, limit=1)
    (example,) = extract(Sources(sources=(chosen,)), ExtractionSettings()).examples.to_pylist()
    assert [message["content"] for message in example["messages"]] == ["One", "Text at 10:30."]


def test_bytes_are_no_text(database: Path) -> None:
    found = extract(
        Sources(sources=(source(database, "SELECT 'q' AS instruction, x'41' AS output"),)),
        ExtractionSettings(max_drop_fraction=1),
    )
    assert found.ledger["reason"].to_pylist() == ["wrong_type"]


def test_fingerprint_follows_the_rows_or_the_version_query(database: Path, tmp_path: Path) -> None:
    by_rows, by_count = source(database), source(database, version_query="SELECT count(*) FROM notes")
    before = [fingerprint([chosen], tmp_path) for chosen in (by_rows, by_count)]
    with sqlite3.connect(database) as db:
        db.execute("UPDATE notes SET body = 'Changed.' WHERE id = 1")
    db.close()
    after = [fingerprint([chosen], tmp_path) for chosen in (by_rows, by_count)]
    assert after[0] != before[0]
    assert after[1] == before[1]


def test_nothing_can_be_written(database: Path) -> None:
    with pytest.raises(ValidationError, match="begins with neither SELECT nor WITH"):
        source(database, "DELETE FROM notes")
    with pytest.raises(InputError, match=r"readonly|cannot be run"):
        list(rows_of_source(source(database, "WITH x AS (SELECT 1) INSERT INTO notes (title) SELECT 'new' FROM x")))
    with sqlite3.connect(database) as db:
        assert db.execute("SELECT count(*) FROM notes").fetchone() == (2,)
    db.close()


def test_endless_query_is_stopped(database: Path) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) AS text FROM n"
    with pytest.raises(
        InputError, match=r"source db: the query cannot be run .OperationalError: interrupted.*timeout_s"
    ):
        list(rows_of_source(source(database, endless, timeout_s=0.2)))


def test_missing_database_and_wrong_query_say_which_key(database: Path) -> None:
    with pytest.raises(InputError, match=r"sources\.0\.url=.*absent\.db names no database file"):
        check_sources([source(database.with_name("absent.db"))])
    assert not database.with_name("absent.db").exists()
    with pytest.raises(InputError, match=r"no such column: absent.*sources\.0\.query"):
        check_sources([source(database, "SELECT absent FROM notes")])


@pytest.mark.parametrize(
    "url", ["postgresql://me:hunter2@host/x", "mysql://host/x?password=hunter2", "postgresql://me:${DB}hunter2@host/x"]
)
def test_password_in_the_config_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ValidationError, match="url holds a password or a placeholder") as refused:
        Sources.model_validate({"sources": [{"type": "sql", "name": "db", "url": url, "query": "SELECT 1"}]})
    assert "hunter2" not in "".join(explain(refused.value))


def test_secrets_stand_in_the_environment_only(monkeypatch: pytest.MonkeyPatch, database: Path, tmp_path: Path) -> None:
    secret = SqlSource(name="db", url_env="NOTES_URL", query="SELECT absent FROM notes")
    with pytest.raises(InputError, match="environment variable NOTES_URL, which it names, is not set; export it"):
        check_sources([secret])
    monkeypatch.setenv("NOTES_URL", f"sqlite:///{database}")
    monkeypatch.setenv("NOTES_PASSWORD", "hunter2")
    for source in (secret, secret.model_copy(update={"password_env": "NOTES_PASSWORD"})):
        with pytest.raises(InputError) as wrong:
            check_sources([source])
        assert not {"hunter2", str(database)} & set(str(wrong.value).replace("'", " ").split())
    works = secret.model_copy(update={"query": "SELECT title AS text FROM notes"})
    before = fingerprint([works], tmp_path)
    assert len(list(rows_of_source(works))) == 2
    monkeypatch.setenv("NOTES_PASSWORD", "other")
    assert fingerprint([works], tmp_path) == before


def test_large_row_is_a_ledger_row(database: Path) -> None:
    (row,) = rows_of_source(source(database, "SELECT hex(zeroblob(5000)) AS text", max_row_mb=0.001))
    assert isinstance(row.value, UnusableError)
    assert row.value.reason == "too_large_row"
