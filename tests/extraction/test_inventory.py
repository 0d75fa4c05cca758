import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from steps.extraction.extract import extract
from steps.extraction.folders import DocumentSource
from steps.extraction.inventory import open_cache, source_facts
from steps.extraction.row_sources import DatasetSource
from steps.extraction.sources import ExtractionSettings, Sources


def test_documents_say_how_many_are_extracted_already(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    for name in "abc":
        (docs / f"{name}.md").write_text(f"# {name}\n\nText.")
    source = DocumentSource(name="docs", path=str(docs))
    with open_cache(tmp_path, ExtractionSettings()) as cache:
        assert str(source_facts(source, cache, tmp_path)) == "3 files, 0.0 MB, 0 extracted already"
        extract(Sources(sources=(source,)), ExtractionSettings(), cache)
    (docs / "a.md").write_text("# a\n\nChanged.")
    with open_cache(tmp_path, ExtractionSettings()) as cache:
        facts = source_facts(source, cache, tmp_path)
        assert facts is not None
        assert (facts.n_files, facts.n_bytes, facts.n_cached) == (3, 33, 2)


def test_rows_are_counted_or_estimated_without_being_read(tmp_path: Path) -> None:
    rows = [{"instruction": f"q{number:05}", "output": "a"} for number in range(50_000)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pq.write_table(pa.Table.from_pylist(rows[:7]), tmp_path / "b.parquet")
    (tmp_path / "c.csv").write_text("instruction,output\nq,a\n")
    facts = source_facts(DatasetSource(name="rows", path=str(tmp_path)), None, tmp_path)
    assert facts is not None
    assert (facts.n_files, facts.n_cached) == (3, None)
    assert facts.n_rows is not None
    assert abs(facts.n_rows - 50_008) <= 20
    limited = source_facts(DatasetSource(name="rows", path=str(tmp_path), limit=9), None, tmp_path)
    assert limited is not None
    assert limited.n_rows == 9
    assert source_facts(DatasetSource(name="hub", hub_id="team/rows"), None, tmp_path) is None


def test_cache_that_is_switched_off_is_none(tmp_path: Path) -> None:
    with open_cache(tmp_path, ExtractionSettings(cache_gb=None)) as cache:
        assert cache is None
    assert not list(tmp_path.iterdir())
