"""Rows that are converted by columns are the rows that are converted one by one."""

import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from steps.extraction import columnar
from steps.extraction.extract import Extraction, extract
from steps.extraction.row_files import blocks_of_source
from steps.extraction.row_sources import DatasetSource
from steps.extraction.sources import ExtractionSettings, Sources

#: Values that make a row something else, or its text something to repair.
HARD: list[dict[str, Any]] = [
    {"instruction": "q", "output": "a"},
    {"instruction": "q", "input": "", "output": "a"},
    {"instruction": "q", "input": "given", "output": "a", "licence": "MIT"},
    {"instruction": "q", "output": "a", "license": "CC0-1.0", "licence": ""},
    {"instruction": "q", "output": None},
    {"instruction": "q\n\nInput:\nx", "input": "y", "output": "a"},
    {"instruction": "q", "input": "x\n\nInput (2):\ny", "output": "a"},
    {"instruction": "a\r\nb", "output": "e\u0301"},
    {"instruction": "é ü 漢字 \U0001f600", "output": "caf\u00c3\u00a9"},
    {"instruction": "nul\x00", "output": "\ufeffbom\u2028"},
    {"instruction": "q", "output": "a", "system": "Be brief."},
    {"instruction": "q", "output": "a", "history": "x"},
    {"instruction": "q", "output": "a", "messages": "not a list"},
    {"instruction": "q", "output": "a", "extra": {"deep": [1, {"x": None}]}},
    {"instruction": "q", "response": "renamed", "output": "other"},
    {"instruction": "q", "response": None, "output": "other"},
    {"prompt": "p", "completion": "c"},
]
#: Lines that only a strict parser of single lines tells from JSON.
LINES = [
    '{"instruction": "q", "output": "a", "x": NaN}',
    '{"instruction": "q", "output": "a", "x": Infinity}',
    '{"instruction": "q", "output": "a", "x": ' + "9" * 5_000 + "}",
    '{"instruction": "q", "output": "a", "x": ' + "[" * 2_000 + "]" * 2_000 + "}",
    '{"instruction": "q", "instruction": "last", "output": "a"}',
    '{"instruction": "q", "output": "\\ud800"}',
    '{"instruction": "q", "output": "a"} {"instruction": "q", "output": "b"}',
    '{"instruction": "q", "output": "a"',
    '{"instruction": 5, "output": "a"}',
    "7",
]
SOURCE = {"type": "dataset", "name": "rows"}


def run(path: Path, **settings: Any) -> Extraction:
    sources = Sources.model_validate({"sources": [{**SOURCE, "path": str(path), **settings}]})
    return extract(sources, ExtractionSettings(max_drop_fraction=1))


def one_by_one(path: Path, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> Extraction:
    with monkeypatch.context() as patched:
        patched.setattr(columnar, "convert", lambda block, source: None)
        patched.setattr(columnar, "is_for", lambda source: False)
        return run(path, **settings)


def n_by_columns(path: Path, **settings: Any) -> int:
    """Count the rows that are converted by columns."""
    source = DatasetSource.model_validate({**SOURCE, "path": str(path), **settings})
    found = (columnar.convert(block, source) for block in blocks_of_source(source))
    return sum(converted.examples.num_rows for converted in found if converted is not None)


def same(one: Extraction, other: Extraction) -> bool:
    return all(ours.equals(theirs) for ours, theirs in zip(one, other, strict=True))


@pytest.mark.parametrize("columns", [{}, {"response": "output"}, {"prompt": "instruction", "completion": "output"}])
def test_rows_are_the_same_whatever_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: dict[str, str]
) -> None:
    rows = [random.Random(7).choice(HARD) for _ in range(5)] + HARD * 3
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = {"columns": columns, "licence": "Apache-2.0"}
    assert n_by_columns(tmp_path, **settings) > 0
    assert same(run(tmp_path, **settings), one_by_one(tmp_path, monkeypatch, **settings))


def test_broken_and_hostile_lines_are_refused_as_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = ['{"instruction": "q", "output": "a"}'] * 200
    (tmp_path / "rows.jsonl").write_text("\n".join(line for bad in LINES for line in (*good, bad)) + "\n")
    found = run(tmp_path)
    assert same(found, one_by_one(tmp_path, monkeypatch))
    assert found.examples.num_rows == 200 * len(LINES) + 2
    for line in LINES:
        (tmp_path / "rows.jsonl").write_text("\n".join([good[0], line, good[0]]))
        assert same(run(tmp_path), one_by_one(tmp_path, monkeypatch)), line[:60]


def test_one_broken_line_leaves_most_rows_to_the_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ['{"instruction": "q", "output": "a"}'] * 4_096
    lines[1_000] = "broken"
    (tmp_path / "rows.jsonl").write_text("\n".join(lines))
    converted: list[int] = []
    original = columnar.convert

    def counted(*arguments: Any) -> columnar.Converted | None:
        found = original(*arguments)
        converted.append(found.examples.num_rows if found is not None else 0)
        return found

    monkeypatch.setattr(columnar, "convert", counted)
    assert run(tmp_path).examples.num_rows == 4_095
    assert sum(converted) > 4_000


@pytest.mark.parametrize("name", ["rows.json", "rows.parquet", "rows.csv"])
def test_other_formats_go_by_columns_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    rows = [{"instruction": f"q{n}", "input": "", "output": "a\r" if n % 5 == 0 else "é"} for n in range(50)]
    if name == "rows.json":
        (tmp_path / name).write_text(json.dumps(rows))
    elif name == "rows.parquet":
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / name)
    else:
        lines = [",".join(f'"{value}"' for value in row.values()) for row in rows]
        (tmp_path / name).write_text("\n".join(["instruction,input,output", *lines]), newline="")
    assert n_by_columns(tmp_path) == 40
    assert same(run(tmp_path), one_by_one(tmp_path, monkeypatch))


def test_limit_cuts_within_a_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in HARD))
    assert same(run(tmp_path, limit=8), one_by_one(tmp_path, monkeypatch, limit=8))
    assert run(tmp_path, limit=8).ledger.num_rows == 8


@pytest.mark.real_data
def test_real_rows_are_the_same_whatever_the_way(real_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, settings in (
        ("gsm8k-train/train.jsonl", {"columns": {"question": "instruction", "answer": "output"}}),
        ("gpteacher", {"columns": {"response": "output"}}),
        ("jsontestsuite", {}),
        ("blns", {}),
        ("llm-eng-handbook/artifacts/instruct_datasets.json", {"rows_at": "train.articles.samples"}),
    ):
        path = real_data / name
        assert same(run(path, **settings), one_by_one(path, monkeypatch, **settings)), name
