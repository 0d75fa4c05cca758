import gc
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from steps import tables
from steps.rows import EXAMPLES, table
from steps.tables import all_distinct, batches_of, filter_rows, spilled, take_rows, value_bytes


def rows_of(n: int) -> pa.Table:
    rows = [
        {
            "id": f"{i:032x}",
            "messages": [{"role": "user", "content": f"question {i}"}, {"role": "assistant", "content": "é" * (i % 7)}],
            "kind": "imported",
            "source": "chats",
            "path": "a.jsonl",
            "row": i if i % 3 else None,
            "group_id": f"{i:032x}",
        }
        for i in range(n)
    ]
    return table(rows, EXAMPLES)


ROWS = rows_of(50)
CHUNKED = pa.concat_tables([ROWS.slice(0, 7), ROWS.slice(7, 1), ROWS.slice(8, 30), ROWS.slice(38)])


@pytest.fixture
def everything_spills(monkeypatch):
    monkeypatch.setattr(tables, "SPILL_BYTES", 0)
    monkeypatch.setattr(tables, "BATCH_ROWS", 11)


def open_maps() -> int:
    folder = tempfile.gettempdir()
    return sum(
        f"{folder}/" in line and "(deleted)" in line for line in Path("/proc/self/maps").read_text().splitlines()
    )


def test_a_spilled_table_holds_the_same_rows_and_gives_its_disk_back_with_the_last_reference(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = open_maps()
    large = spilled(iter(CHUNKED.to_batches()), EXAMPLES, limit_bytes=100)
    assert large.equals(ROWS)
    assert large.schema.equals(EXAMPLES)
    assert open_maps() == before + 1
    assert not list(tmp_path.iterdir())
    column = large["messages"].slice(3, 2)
    del large
    gc.collect()
    assert column.to_pylist() == ROWS["messages"].to_pylist()[3:5]
    del column
    gc.collect()
    assert open_maps() == before


def test_a_small_table_stays_in_memory_as_one_chunk():
    before = open_maps()
    small = spilled(CHUNKED.to_batches(), EXAMPLES)
    assert small.equals(ROWS)
    assert small["messages"].num_chunks == 1
    assert open_maps() == before
    assert spilled([], EXAMPLES).equals(EXAMPLES.empty_table())


def test_a_failing_function_leaves_no_file_behind(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def batches():
        yield ROWS
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        spilled(batches(), EXAMPLES, limit_bytes=0)
    assert not list(tmp_path.iterdir())


def test_slices_begin_at_the_same_rows_whatever_the_chunks_are():
    sizes = [batch.num_rows for batch in batches_of(CHUNKED, 16)]
    assert sizes == [16, 16, 16, 2]
    assert all(batch["messages"].num_chunks == 1 for batch in batches_of(CHUNKED, 16))


def test_filtering_and_taking_give_the_same_rows_on_disk(everything_spills):
    chosen = pa.array([i % 3 == 0 for i in range(50)])
    positions = np.array([49, 0, 7, 7, 8, 37, 3] * 4)
    for rows in (ROWS, CHUNKED):
        assert filter_rows(rows, chosen).equals(ROWS.filter(chosen))
        assert take_rows(rows, positions).equals(ROWS.take(pa.array(positions)))
    assert filter_rows(CHUNKED, pa.array([True] * 50)) is CHUNKED
    assert take_rows(CHUNKED, np.array([], np.int64)).equals(ROWS.slice(0, 0))


def test_ids_are_distinct_only_if_no_two_are_equal():
    ids = ROWS["id"]
    assert all_distinct(ids)
    assert not all_distinct(pa.chunked_array([ids.chunk(0), ids.chunk(0).slice(30, 1)]))
    assert all_distinct(pa.array(["a", "b", "cc"]))
    assert not all_distinct(pa.array(["a", "b", "a"]))
    assert all_distinct(pa.array([], pa.string()))
    assert all_distinct(pa.chunked_array([["a" * 8], ["b" * 16]]))


def test_the_size_of_values_does_not_depend_on_chunks():
    assert value_bytes(CHUNKED) == value_bytes(ROWS)
    assert value_bytes(pa.table({"n": pa.array([1, None, 3], pa.int64()), "s": ["ab", None, "é"]})) == 24 + 4


def test_keys_and_values_of_maps_count_wherever_the_table_is_cut():
    maps = pa.table(
        {"m": pa.array([[("a", 1.0), ("bc", 2.0)], [], None, [("d", 3.0)]], pa.map_(pa.string(), pa.float64()))}
    )
    assert value_bytes(maps) == 3 + 16 + 1 + 8
    assert value_bytes(maps.slice(1)) == 1 + 8
