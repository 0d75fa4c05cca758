import json
import re
import sqlite3
import sys
import zlib
from importlib import metadata
from pathlib import Path

import pytest

from steps.errors import InputError
from steps.extraction import cache as cache_module
from steps.extraction.cache import READER_LIBRARIES, ExtractionCache, content_key, readers_hash
from steps.extraction.extract import extract
from steps.extraction.isolation import Outcome
from steps.extraction.reasons import ExtractDrop, UnusableError
from steps.extraction.sources import ExtractionSettings, Sources
from steps.extraction.text import Extracted, Place

FOUND = ("markdown", Extracted("Text é", "Title", (Place(0, "page 1"),), "MIT", {"nul": 2}))


def opened(path: Path, max_bytes: int = 10**9, readers: str = "r") -> ExtractionCache:
    return ExtractionCache(path / "cache" / "results.sqlite", max_bytes, readers)


def put(cache: ExtractionCache, **results: Outcome) -> None:
    cache.put(results, {})


def test_results_and_reasons_come_back_as_they_were(tmp_path: Path) -> None:
    with opened(tmp_path) as cache:
        put(cache, a=FOUND, b=UnusableError(ExtractDrop.BROKEN_PDF, "no xref"))
    with opened(tmp_path) as cache:
        found = cache.get(["a", "b", "c"])
    assert found["a"] == FOUND
    assert isinstance(found["a"], tuple)
    assert isinstance(found["a"][1], Extracted)
    assert str(found["b"]) == "broken_pdf: no xref"
    assert set(found) == {"a", "b"}


def test_reason_that_may_pass_is_not_kept(tmp_path: Path) -> None:
    with opened(tmp_path) as cache:
        put(cache, a=UnusableError(ExtractDrop.READER_TIMED_OUT, ""), b=UnusableError(ExtractDrop.UNREADABLE_FILE, ""))
        assert len(cache) == 0


def test_other_readers_do_not_find_the_results(tmp_path: Path) -> None:
    with opened(tmp_path) as cache:
        put(cache, a=FOUND)
    with opened(tmp_path, readers="changed") as cache:
        assert cache.get(["a"]) == {}


def test_least_recently_used_results_go_first(tmp_path: Path) -> None:
    with opened(tmp_path) as cache:
        put(cache, **{name: ("text", Extracted(name * 1_000, None)) for name in "abcd"})
        size = sum(len(packed) for (packed,) in cache._db.execute("SELECT result FROM results"))
    with opened(tmp_path) as cache:
        cache.get(["a", "d"])
    with opened(tmp_path, max_bytes=int(size * 0.6)) as cache:
        assert len(cache) == 4
    with opened(tmp_path) as cache:
        assert set(cache.get("abcd")) == {"a", "d"}


def test_damaged_entry_is_unknown_and_a_damaged_file_says_what_to_do(tmp_path: Path) -> None:
    with opened(tmp_path) as cache:
        put(cache, a=FOUND, b=FOUND)
        cache._db.execute("UPDATE results SET result = x'00' WHERE key LIKE 'a%'")
        assert set(cache.get(["a", "b"])) == {"b"}
    file = tmp_path / "other" / "cache" / "results.sqlite"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"no database at all" * 100)
    with pytest.raises(InputError, match=r"cannot be used .* remove it, files are then read once more"):
        opened(tmp_path / "other")


def test_killed_run_leaves_what_was_complete(tmp_path: Path) -> None:
    cache = opened(tmp_path)
    put(cache, a=FOUND)
    cache._db.execute("BEGIN IMMEDIATE")
    cache._db.execute("DELETE FROM results")
    cache._db.close()  # as the end of the process would, without a COMMIT
    with opened(tmp_path) as cache:
        assert set(cache.get(["a"])) == {"a"}


def test_two_runs_may_use_one_cache(tmp_path: Path) -> None:
    with opened(tmp_path) as one, opened(tmp_path) as other:
        put(one, a=FOUND)
        put(other, b=FOUND)
        assert set(one.get(["a", "b"])) == {"a", "b"} == set(other.get(["a", "b"]))


def test_code_is_known_by_its_path_and_other_files_by_their_suffix() -> None:
    assert content_key("d", "x/a.MD") == content_key("d", "y/b.md") != content_key("d", "a.txt")
    assert content_key("d", "x/a.py") != content_key("d", "y/a.py")


def test_hash_of_the_readers_follows_their_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = readers_hash()
    assert readers_hash() == before
    original = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda self: original(self) + (b"\n" if self.name == "html.py" else b""))
    assert readers_hash() != before


def test_every_library_of_the_readers_is_part_of_their_hash() -> None:
    folder, seen, waiting = Path(cache_module.__file__).parent, set[str](), ["documents"]
    libraries = set[str]()
    while waiting:
        module = waiting.pop()
        if module in seen or not (folder / f"{module}.py").is_file():
            continue
        seen.add(module)
        for name in re.findall(r"^ *(?:from|import) ([\w.]+)", (folder / f"{module}.py").read_text(), re.MULTILINE):
            waiting += [name.removeprefix("steps.extraction.")] if name.startswith("steps.extraction.") else []
            libraries |= {name.partition(".")[0]} - {"steps", *sys.stdlib_module_names}
    packages = metadata.packages_distributions()
    assert libraries
    # What stands beside data handling (Arrow, pydantic) does not read files.
    assert {packages[name][0].lower().replace("_", "-") for name in libraries} - {"pyarrow", "pydantic"} <= set(
        READER_LIBRARIES
    )


def test_exactly_the_changed_file_of_a_thousand_is_read_again(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    for number in range(1_000):
        (folder / f"{number:03}.txt").write_text(f"Text number {number}.")
    sources = Sources.model_validate({"sources": [{"type": "documents", "name": "docs", "path": str(folder)}]})
    with opened(tmp_path) as cache:
        before = extract(sources, ExtractionSettings(), cache)
        assert (cache.n_from_cache, cache.n_read) == (0, 1_000)
    (folder / "500.txt").write_text("Changed.")
    (folder / "777.txt").rename(folder / "renamed.txt")
    with opened(tmp_path) as cache:
        after = extract(sources, ExtractionSettings(), cache)
        assert (cache.n_from_cache, cache.n_read) == (999, 1)
    assert after.documents["text"][500].as_py() == "Changed."
    assert set(before.documents["id"].to_pylist()) - set(after.documents["id"].to_pylist()) == {
        before.documents["id"][500].as_py(),
        before.documents["id"][777].as_py(),
    }


def test_content_that_occurs_twice_is_read_once(tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("The same.")
    sources = Sources.model_validate({"sources": [{"type": "documents", "name": "docs", "path": str(tmp_path)}]})
    with opened(tmp_path.with_name("elsewhere")) as cache:
        found = extract(sources, ExtractionSettings(), cache)
        assert (found.documents.num_rows, cache.n_from_cache, cache.n_read) == (2, 1, 1)


def test_smaller_limit_drops_a_file_that_was_read_before(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x" * 2_000)
    source = {"type": "documents", "name": "docs", "path": str(tmp_path)}
    with opened(tmp_path.with_name("limits")) as cache:
        extract(Sources.model_validate({"sources": [source]}), ExtractionSettings(), cache)
        small = Sources.model_validate({"sources": [source | {"max_file_mb": 0.001}]})
        found = extract(small, ExtractionSettings(max_drop_fraction=1), cache)
    assert found.ledger["reason"].to_pylist() == ["too_large_file"]


def test_database_of_results_holds_no_pickle(tmp_path: Path) -> None:
    with opened(tmp_path) as cache:
        put(cache, a=FOUND)
    db = sqlite3.connect(tmp_path / "cache" / "results.sqlite")
    ((packed,),) = db.execute("SELECT result FROM results").fetchall()
    db.close()
    assert json.loads(zlib.decompress(packed))["format"] == "markdown"
