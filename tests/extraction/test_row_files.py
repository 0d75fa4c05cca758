import json
import struct
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from steps.errors import InputError
from steps.extraction.json_rows import parse_json
from steps.extraction.reasons import ExtractDrop, UnusableError
from steps.extraction.row_blocks import RawRow
from steps.extraction.row_files import rows_of_source
from steps.extraction.row_sources import DatasetSource
from steps.extraction.sources import check_sources


def rows(path: Path, **settings: object) -> list[RawRow]:
    return list(rows_of_source(DatasetSource.model_validate({"name": "rows", "path": str(path), **settings})))


def values(path: Path, **settings: object) -> list[object]:
    return [row.value.reason if isinstance(row.value, UnusableError) else row.value for row in rows(path, **settings)]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rows.json", '[{"a": 1}, {"a": 2}]'),
        ("rows.jsonl", '{"a": 1}\n\n{"a": 2}'),
        ("rows.json", '{"a": 1}\n{"a": 2}\n'),
        ("rows.jsonl", '\ufeff{"a": 1}\n{"a": 2}\n'),
    ],
)
def test_json_arrays_and_lines_give_the_same_rows_whatever_the_suffix(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    assert values(tmp_path / name) == [{"a": 1}, {"a": 2}]


def test_one_object_is_one_row(tmp_path: Path) -> None:
    (tmp_path / "row.json").write_text('{\n  "a": 1\n}')
    assert values(tmp_path) == [{"a": 1}]


def test_parquet_rows_are_plain_values(tmp_path: Path) -> None:
    pq.write_table(pa.table({"turns": [[{"role": "user"}], []]}), tmp_path / "rows.parquet")
    assert values(tmp_path) == [{"turns": [{"role": "user"}]}, {"turns": []}]


def test_broken_line_is_a_row_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"a": 1}\n\n{"a": \n{"a": 3}\n')
    good, bad, last = rows(tmp_path)
    assert (good.value, last.value, last.line) == ({"a": 1}, {"a": 3}, 4)
    assert (bad.place, bad.line, bad.value.reason) == ("rows.jsonl:1", 3, ExtractDrop.INVALID_JSON)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"[1, NaN]", ExtractDrop.INVALID_JSON),
        (b"-Infinity", ExtractDrop.INVALID_JSON),
        (b"[" * 100_000, ExtractDrop.TOO_DEEP_JSON),
        (b'["\xff"]', ExtractDrop.UNKNOWN_ENCODING),
        (b"9" * 5_000, ExtractDrop.INVALID_JSON),
        (b"", ExtractDrop.INVALID_JSON),
    ],
)
def test_hostile_json_is_an_error_value_and_no_crash(content: bytes, reason: ExtractDrop) -> None:
    found = parse_json(content)
    assert isinstance(found, UnusableError)
    assert found.reason == reason


@pytest.mark.parametrize("kind", ["file", "stream"])
def test_arrow_rows_are_plain_values(tmp_path: Path, kind: str) -> None:
    table = pa.table({"a": list(range(25_000))})
    name = "rows.arrow" if kind == "stream" else "rows.feather"
    new = pa.ipc.new_stream if kind == "stream" else pa.ipc.new_file
    with pa.OSFile(str(tmp_path / name), "wb") as file, new(file, table.schema) as writer:
        writer.write_table(table)
    found = rows(tmp_path)
    assert [row.value["a"] for row in found] == [row.row for row in found] == list(range(25_000))


def test_arrow_file_whose_offsets_lead_astray_is_one_row(tmp_path: Path) -> None:
    table = pa.table({"a": ["abc", "defgh"]})
    with pa.OSFile(str(tmp_path / "rows.arrow"), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    head, offsets, tail = (tmp_path / "rows.arrow").read_bytes().partition(struct.pack("<3i", 0, 3, 8))
    assert offsets
    (tmp_path / "rows.arrow").write_bytes(head + struct.pack("<3i", 0, 3, 1 << 30) + tail)
    assert values(tmp_path) == [ExtractDrop.BROKEN_ARROW]


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_packed_rows_are_read_and_damaged_ones_say_so(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"rows.jsonl{suffix}"
    compression = {".gz": "gzip", ".zst": "zstd"}[suffix]
    lines = b"".join(b'{"a": %d}\n' % number for number in range(20_000))
    with pa.output_stream(str(path), compression=compression) as file:
        file.write(lines)
    assert values(tmp_path) == [{"a": number} for number in range(20_000)]
    assert values(tmp_path, max_file_mb=0.1)[-1] == ExtractDrop.TOO_LARGE_FILE
    path.write_bytes(path.read_bytes()[:-1_000])
    assert values(tmp_path)[-1] == ExtractDrop.BROKEN_ARCHIVE


def test_line_beyond_its_bound_is_one_row_and_the_others_are_read(tmp_path: Path) -> None:
    lines = ['{"a": 1}', '{"a": "' + "x" * 9_000_000 + '"}', '{"a": 3}', "", '{"a": 4}']
    (tmp_path / "rows.jsonl").write_text("\n".join(lines))
    found = rows(tmp_path, max_row_mb=0.1)
    assert [(row.row, row.line) for row in found] == [(0, 1), (1, 2), (2, 3), (3, 5)]
    assert values(tmp_path, max_row_mb=0.1)[1] == ExtractDrop.TOO_LARGE_ROW
    assert values(tmp_path, max_row_mb=10)[1] == {"a": "x" * 9_000_000}


def test_rows_within_an_object_are_found_by_their_path(tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text('{"id": 1, "train": {"samples": [{"a": 1}, {"a": 2}]}}')
    assert values(tmp_path, rows_at="train.samples") == [{"a": 1}, {"a": 2}]
    (missing,) = rows(tmp_path, rows_at="train.rows")
    assert str(missing.value) == "missing_keys: rows_at=train.rows: train holds samples, not rows"
    assert values(tmp_path, rows_at="id") == [ExtractDrop.WRONG_TYPE]


def test_folder_that_datasets_saved_is_read_in_its_order(tmp_path: Path) -> None:
    import datasets

    folder = tmp_path / "saved"
    split = datasets.Dataset.from_dict({"text": ["a", "b", "c"]})
    datasets.DatasetDict({"train": split, "test": split.select([1])}).save_to_disk(str(folder))
    assert values(folder) == [{"text": "a"}, {"text": "b"}, {"text": "c"}]
    assert values(folder, split="test") == [{"text": "b"}]
    assert values(folder / "train") == values(folder)
    with pytest.raises(InputError, match="holds no file to read"):
        check_sources([DatasetSource(name="rows", path=str(folder), split="validation")])


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("x.parquet", ExtractDrop.BROKEN_PARQUET),
        ("x.arrow", ExtractDrop.BROKEN_ARROW),
        ("x.csv", ExtractDrop.EMPTY_FILE),
        ("x.json", ExtractDrop.INVALID_JSON),
        ("x.jsonl", ExtractDrop.EMPTY_FILE),
    ],
)
def test_unusable_file_is_one_row(tmp_path: Path, name: str, reason: ExtractDrop) -> None:
    (tmp_path / name).write_bytes(b"")
    assert values(tmp_path) == [reason]


def test_limit_counts_rows_over_all_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.jsonl").write_text(f'{{"from": "{name}"}}\n' * 3)
    assert values(tmp_path, limit=4) == [{"from": "a"}] * 3 + [{"from": "b"}]


def test_hub_data_set_is_read_through_datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "train.jsonl").write_text(json.dumps({"text": "hello"}) + "\n")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    for streaming in (False, True):
        source = DatasetSource(name="hub", hub_id=str(folder), streaming=streaming)
        assert [(row.row, row.value) for row in rows_of_source(source)] == [(0, {"text": "hello"})]


def test_hub_data_set_that_cannot_be_had_says_what_to_do() -> None:
    source = DatasetSource(name="hub", hub_id="nobody/nothing-at-all", split="validation")
    with pytest.raises(InputError, match=r"nobody/nothing-at-all .split validation.* or download it and give its path"):
        list(rows_of_source(source))
