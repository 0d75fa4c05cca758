import uuid
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from steps.errors import InputError
from steps.extraction.cache import ExtractionCache
from steps.extraction.extract import extract
from steps.extraction.folders import DocumentSource, document_files
from steps.extraction.row_sources import DatasetSource
from steps.extraction.sources import ExtractionSettings, Sources, check_sources, fingerprint
from tests.extraction.fetched import contents


@pytest.fixture
def bucket() -> Iterator[str]:
    """A store in memory, as fsspec gives it, with two documents and a data set."""
    name = f"memory://bucket-{uuid.uuid4().hex}"
    put(f"{name}/docs/a.md", "# A\n\nText.")
    put(f"{name}/docs/deep/b.txt", "Text of b.")
    put(f"{name}/docs/c.bin", "x")
    put(f"{name}/rows/r.jsonl", '{"instruction": "q", "output": "a"}\n')
    yield name
    fsspec.filesystem("memory").rm(name, recursive=True)


def put(path: str, text: str) -> None:
    with fsspec.open(path, "w") as file:
        file.write(text)


def documents(bucket: str, **settings: object) -> DocumentSource:
    return DocumentSource.model_validate({"name": "docs", "path": f"{bucket}/docs", **settings})


def test_documents_and_rows_of_a_bucket_are_read(bucket: str, tmp_path: Path) -> None:
    rows = DatasetSource(name="rows", path=f"{bucket}/rows/r.jsonl")
    check_sources([documents(bucket), rows])
    files = document_files(documents(bucket), tmp_path)
    assert contents(files, tmp_path / "scratch") == {"a.md": "# A\n\nText.", "deep/b.txt": "Text of b."}
    assert extract(Sources(sources=(rows,)), ExtractionSettings()).examples["path"].to_pylist() == ["r.jsonl"]


def test_unchanged_objects_are_not_fetched_again(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources, settings = Sources(sources=(documents(bucket),)), ExtractionSettings()
    with ExtractionCache(tmp_path / "c.sqlite", 10**9, "r") as cache:
        first = extract(sources, settings, cache)
    put(f"{bucket}/docs/deep/b.txt", "Other text of b.")
    opened: list[str] = []
    system = type(fsspec.filesystem("memory"))
    original = system._open
    monkeypatch.setattr(
        system, "_open", lambda self, path, *a, **k: opened.append(path) or original(self, path, *a, **k)
    )
    with ExtractionCache(tmp_path / "c.sqlite", 10**9, "r") as cache:
        second = extract(sources, settings, cache)
        assert (cache.n_from_cache, cache.n_read) == (1, 1)
    assert [path.rsplit("/", 1)[-1] for path in opened] == ["b.txt"]
    assert (first.documents["text"][0], second.documents["text"][1].as_py()) == (
        second.documents["text"][0],
        "Other text of b.",
    )


def test_fingerprint_follows_the_objects(bucket: str, tmp_path: Path) -> None:
    before = fingerprint([documents(bucket)], tmp_path)
    assert fingerprint([documents(bucket)], tmp_path) == before
    put(f"{bucket}/docs/c.bin", "not chosen")
    assert fingerprint([documents(bucket)], tmp_path) == before
    put(f"{bucket}/docs/a.md", "# A\n\nOther.")
    assert fingerprint([documents(bucket)], tmp_path) != before


def test_too_large_object_is_not_fetched(bucket: str, tmp_path: Path) -> None:
    small = documents(bucket, max_file_mb=0.000005)
    assert set(contents(document_files(small, tmp_path), tmp_path / "scratch").values()) == {"! too_large_file"}


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("ftp://host/docs", r"sources\.0\.path=ftp://host/docs is not of the form .*known schemes: s3"),
        ("zip::s3://b/x.zip", "not of the form"),
        ("memory://nowhere-at-all", "holds no file to read"),
        ("s3://key:secret@bucket/docs", r"sources\.0\.path holds credentials"),
    ],
)
def test_unusable_remote_path_says_why(path: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as error:
        check_sources([DocumentSource(name="docs", path=path)])
    assert "secret" not in str(error.value)


def test_missing_library_names_the_extra() -> None:
    with pytest.raises(InputError, match=r"pip install 'tunesmith\[s3\]'"):
        check_sources([DocumentSource(name="docs", path="s3://bucket/docs")])
