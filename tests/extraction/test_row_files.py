import json
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


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("x.parquet", ExtractDrop.BROKEN_PARQUET),
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
    source = DatasetSource(name="hub", hub_id=str(folder))
    assert [(row.row, row.value) for row in rows_of_source(source)] == [(0, {"text": "hello"})]


def test_hub_data_set_that_cannot_be_had_says_what_to_do() -> None:
    source = DatasetSource(name="hub", hub_id="nobody/nothing-at-all", split="validation")
    with pytest.raises(InputError, match=r"nobody/nothing-at-all .split validation.* or download it and give its path"):
        list(rows_of_source(source))
