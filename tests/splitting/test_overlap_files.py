import json

import numpy as np
import pyarrow as pa
import pytest

from steps.errors import InputError
from steps.splitting.benchmarks import benchmark_index
from steps.splitting.overlap import DecontaminationSettings, OverlapIndex, build_index
from steps.splitting.overlap_files import (
    MANIFEST,
    MAPPED_BYTES,
    index_key,
    load_index,
    load_or_build,
    on_disk,
    save_index,
)

TEXTS = [
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen",
    "short text",
    "",
    "one two",
]
EVIDENCE = ["a:1", "a:2", "a:3", "b:1"]
CONTENT = {"a": "1", "b": "2"}


def build():
    return build_index(pa.array(EVIDENCE), pa.array(TEXTS), (13, 8))


def never():
    raise AssertionError("built again")


def test_an_index_from_disk_answers_as_the_one_in_memory(tmp_path):
    save_index(build(), tmp_path / "index", "key", CONTENT)
    stored = load_index(tmp_path / "index", "key")
    assert isinstance(stored.levels[13].grams.base, np.memmap)
    indexes = [OverlapIndex(each, DecontaminationSettings()) for each in (build(), stored)]
    for text in (TEXTS[0], f"before {TEXTS[0]} after", "Short, TEXT!", "one", ""):
        assert indexes[0].find(text) == indexes[1].find(text)
    assert indexes[1].find(TEXTS[0]) == ("a:1", 1.0)


def test_an_empty_index_can_be_stored(tmp_path):
    save_index(build_index(pa.array([], pa.string()), pa.array([], pa.string()), (13,)), tmp_path / "i", "k", {})
    assert OverlapIndex(load_index(tmp_path / "i", "k"), DecontaminationSettings(coverage=None)).find("any") is None


def test_the_same_content_is_indexed_once_and_other_content_elsewhere(tmp_path):
    first = load_or_build(tmp_path, CONTENT, (13, 8), build)
    again = load_or_build(tmp_path, CONTENT, (8, 13), never)
    assert again.texts.equals(first.texts)
    assert len({index_key(content, n) for content in (CONTENT, {"a": "1"}) for n in ((13,), (13, 8))}) == 4
    assert [path.name for path in tmp_path.iterdir()] == [index_key(CONTENT, (8, 13))]


@pytest.mark.parametrize("damage", ["other_key", "cut_file", "no_manifest", "old_format"])
def test_an_index_that_is_not_what_its_manifest_says_is_refused_and_built_again(tmp_path, damage):
    load_or_build(tmp_path, CONTENT, (13, 8), build)
    key = index_key(CONTENT, (13, 8))
    folder = tmp_path / key
    manifest = json.loads((folder / MANIFEST).read_text())
    if damage == "other_key":
        (folder / MANIFEST).write_text(json.dumps(manifest | {"key": "other"}))
    elif damage == "old_format":
        (folder / MANIFEST).write_text(json.dumps(manifest | {"format": 0}))
    elif damage == "no_manifest":
        (folder / MANIFEST).unlink()
    else:
        (folder / "13.grams.npy").write_bytes(b"")
    with pytest.raises(InputError, match="built again"):
        load_index(folder, key)
    assert OverlapIndex(load_or_build(tmp_path, CONTENT, (13, 8), build), DecontaminationSettings()).find(TEXTS[0])
    load_index(folder, key)


def test_a_benchmark_that_changed_is_indexed_anew_and_an_unchanged_one_is_not_read_again(tmp_path):
    path = tmp_path / "benchmark.txt"
    settings = DecontaminationSettings(benchmark_paths=(str(path),), index_dir=str(tmp_path / "indexes"))
    path.write_text("first line\n")
    assert benchmark_index(settings).texts.to_pylist() == ["first line"]
    (folder,) = (tmp_path / "indexes").iterdir()
    written = (folder / MANIFEST).stat().st_mtime_ns
    benchmark_index(settings)
    assert (folder / MANIFEST).stat().st_mtime_ns == written
    path.write_text("second line\n")
    assert benchmark_index(settings).texts.to_pylist() == ["second line"]
    assert len(list((tmp_path / "indexes").iterdir())) == 2


@pytest.mark.parametrize("n", [3, MAPPED_BYTES // 4 + 1])
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_an_array_reads_the_same_from_memory_and_from_its_file(n, dtype):
    values = np.arange(n, dtype=dtype)
    found = on_disk(values)
    assert found.dtype == dtype
    assert np.array_equal(found, values)
