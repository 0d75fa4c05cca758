import json
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from zenml.artifact_stores.local_artifact_store import LocalArtifactStore
from zenml.client import Client
from zenml.materializers.cloudpickle_materializer import CloudpickleMaterializer
from zenml.materializers.materializer_registry import materializer_registry

from steps.artifacts import ModelDirectoryMaterializer, ReportMaterializer, TableMaterializer, scratch_directory
from steps.filtering.row import FilterReason
from steps.ledger import Drops, ledger_of
from steps.preview import preview_table
from steps.rows import EXAMPLES, table

ROW = {
    "id": "1",
    "messages": [{"role": "user", "content": "<b>hi</b>"}],
    "kind": "summary",
    "source": "notes",
    "path": "a.md",
    "group_id": "g",
}


@pytest.fixture
def uri(tmp_path) -> str:
    store = Client().active_stack.artifact_store
    assert isinstance(store, LocalArtifactStore)
    root = Path(store.path, "artifact-tests", tmp_path.name)
    root.mkdir(parents=True)
    return str(root)


def test_a_table_comes_back_equal_and_its_hash_does_not_depend_on_chunks(uri):
    rows = table([ROW, {**ROW, "id": "2"}], EXAMPLES)
    chunked = pa.concat_tables([rows.slice(0, 1), rows.slice(1, 1)])
    first = TableMaterializer(uri)
    first.save(rows)
    assert first.load(pa.Table).equals(rows)
    assert first.compute_content_hash(rows) == TableMaterializer(uri).compute_content_hash(chunked)
    changed = table([ROW, {**ROW, "id": "3"}], EXAMPLES)
    assert first.compute_content_hash(rows) != TableMaterializer(uri).compute_content_hash(changed)


def test_a_large_table_is_loaded_through_a_memory_map_and_hashes_alike_at_any_chunk_layout(uri, monkeypatch):
    rows = table([{**ROW, "id": f"{i:032x}", "path": "p" * (i % 50)} for i in range(3_000)], EXAMPLES)
    chunked = pa.concat_tables([rows.slice(0, 1), rows.slice(1, 1_700), rows.slice(1_701)])
    monkeypatch.setattr("steps.parquet.ROW_GROUP_BYTES", 40_000)
    monkeypatch.setattr("steps.tables.SPILL_BYTES", 1_000)
    materializer = TableMaterializer(uri)
    materializer.save(chunked)
    stored = pq.ParquetFile(Path(uri, "rows.parquet")).metadata
    assert stored.num_row_groups > 5
    loaded = materializer.load(pa.Table)
    assert loaded.equals(rows)
    assert loaded.schema.equals(rows.schema)
    assert f"{tempfile.gettempdir()}/" in Path("/proc/self/maps").read_text()
    hashes = {TableMaterializer(uri).compute_content_hash(each) for each in (rows, chunked, loaded)}
    assert hashes == {materializer.compute_content_hash(chunked)}


def test_the_preview_of_a_ledger_shows_dropped_rows_only(uri):
    drops = Drops("filter")
    drops.add("b", FilterReason.TOO_FEW_PROMPT_WORDS)
    ledger = ledger_of("filter", pa.array(["a", "b", "kept-row"]), drops.table())
    html = preview_table(ledger, "0" * 64)
    assert "too_few_prompt_words" in html
    assert "kept-row" not in html


def test_the_preview_of_a_table_escapes_what_rows_contain(uri):
    rows = table([ROW], EXAMPLES)
    materializer = TableMaterializer(uri)
    materializer.save(rows)
    (page,) = materializer.save_visualizations(rows)
    html = Path(page).read_text()
    assert "&lt;b&gt;hi" in html
    assert "<b>hi" not in html


def test_a_scratch_model_is_moved_into_the_store_and_leaves_nothing_behind(uri):
    scratch = scratch_directory()
    (scratch / "adapter").mkdir()
    (scratch / "config.json").write_text("{}")
    (scratch / "adapter" / "weights").write_bytes(b"\0" * 100)
    materializer = ModelDirectoryMaterializer(uri)
    digest = materializer.compute_content_hash(scratch)
    materializer.save(scratch)
    assert not scratch.exists()
    loaded = materializer.load(Path)
    assert (loaded / "adapter" / "weights").read_bytes() == b"\0" * 100
    assert materializer.compute_content_hash(loaded) == digest
    assert materializer.extract_metadata(scratch)["bytes"] == 102


def test_another_directory_is_linked_in_and_stays_where_it_is(uri, tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    ModelDirectoryMaterializer(uri).save(model)
    assert (model / "config.json").read_text() == "{}"
    (stored,) = Path(uri).rglob("config.json")
    assert stored.read_text() == "{}"


def test_a_remote_model_is_fetched_once_into_a_cache_named_by_its_content(uri, tmp_path, monkeypatch):
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    monkeypatch.setattr("steps.artifacts.io_utils.is_remote", lambda _: True)
    monkeypatch.setenv("TUNESMITH_CACHE", str(tmp_path / "cache"))
    materializer = ModelDirectoryMaterializer(uri)
    materializer.save(model)
    first = materializer.load(Path)
    assert first.is_relative_to(tmp_path / "cache")
    assert (first / "config.json").read_text() == "{}"
    written = (first / "config.json").stat().st_mtime_ns
    assert (materializer.load(Path) / "config.json").stat().st_mtime_ns == written


def test_a_report_is_canonical_json_and_refuses_what_json_cannot_hold(uri):
    materializer = ReportMaterializer(uri)
    materializer.save({"b": 1, "a": [0.5, None]})
    assert materializer.load(dict) == {"a": [0.5, None], "b": 1}
    assert materializer.compute_content_hash({"a": 1, "b": 2}) == materializer.compute_content_hash({"b": 2, "a": 1})
    assert json.loads(next(Path(uri).glob("*.json")).read_text())["b"] == 1
    with pytest.raises(ValueError):
        materializer.save({"x": float("nan")})


def test_our_types_never_fall_back_to_pickle():
    for kind in (pa.Table, Path, dict, str, float, int, bool):
        assert not issubclass(materializer_registry[kind], CloudpickleMaterializer)
    assert materializer_registry[Path] is ModelDirectoryMaterializer
