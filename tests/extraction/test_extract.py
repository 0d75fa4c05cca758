import json
import os
from pathlib import Path
from typing import Any

import pytest

from steps.errors import DropLimitError
from steps.extraction.document_columns import repairs_of
from steps.extraction.extract import Extraction, extract
from steps.extraction.sources import ExtractionSettings, Sources
from steps.ledger import reasons
from steps.rows import DOCUMENTS, EXAMPLES, LEDGER, PREFERENCES


def run(*sources: dict[str, Any], max_drop_fraction: float = 1.0) -> Extraction:
    settings = ExtractionSettings(max_drop_fraction=max_drop_fraction)
    return extract(Sources.model_validate({"sources": sources}), settings)


def write_rows(path: Path, *rows: object) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_files_become_documents_and_unreadable_ones_ledger_rows(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# Guide\n\nText.")
    (tmp_path / "b.txt").write_bytes(b"\x00\x01")
    (tmp_path / "big.txt").write_text("x" * 2_000)
    found = run({"type": "documents", "name": "docs", "path": str(tmp_path), "licence": "MIT", "max_file_mb": 0.001})
    (document,) = found.documents.to_pylist()
    assert (document["path"], document["format"], document["title"], document["licence"]) == (
        "a.md",
        "markdown",
        "Guide",
        "MIT",
    )
    decisions = {row["detail"]: (row["decision"], row["reason"]) for row in found.ledger.to_pylist()}
    assert decisions[None] == ("kept", None)
    assert decisions["b.txt (NUL byte at offset 0)"] == ("dropped", "binary_file")
    assert decisions["big.txt (0.0 MB, max_file_mb=0.001)"] == ("dropped", "too_large_file")


def test_licence_is_the_files_own_then_the_configs_then_that_of_the_nearest_licence_file(tmp_path: Path) -> None:
    (tmp_path / "LICENSE").write_text(
        "Permission to use, copy, modify, and/or distribute this software for any purpose is granted provided that the"
    )
    (tmp_path / "plain.md").write_text("# Guide\n\nText.")
    (tmp_path / "stated.md").write_text("<!-- SPDX-License-Identifier: CC-BY-4.0 -->\n# Guide\n\nOther text.")
    source = {"type": "documents", "name": "docs", "path": str(tmp_path)}

    def licences(found: Extraction) -> dict[str, str]:
        return dict(zip(found.documents["path"].to_pylist(), found.documents["licence"].to_pylist(), strict=True))

    assert licences(run(source)) == {"plain.md": "ISC", "stated.md": "CC-BY-4.0"}
    assert licences(run(source | {"licence": "MIT"})) == {"plain.md": "MIT", "stated.md": "CC-BY-4.0"}


def test_documents_carry_their_language_and_their_repairs(tmp_path: Path) -> None:
    german = "Die Katze liegt auf dem Sofa und schläft den ganzen Tag, weil draußen die Sonne scheint."
    (tmp_path / "a.md").write_bytes(b"\xef\xbb\xbf" + german.encode().replace(b"\xc3\xa4", b"\xc3\x83\xc2\xa4"))
    (tmp_path / "b.txt").write_text("The cat sleeps on the sofa all day long because the sun shines outside.\r\n")
    found = run({"type": "documents", "name": "docs", "path": str(tmp_path)}).documents
    assert found["language"].to_pylist() == ["de", "en"]
    assert found["text"][0].as_py() == german
    assert repairs_of(found) == {"documents": 2, "mojibake": 1, "bom": 1, "line_end": 1}


def test_every_kept_row_stands_in_the_ledger_under_its_own_id(tmp_path: Path) -> None:
    (tmp_path / "doc.md").write_text("text")
    rows = write_rows(tmp_path / "rows.jsonl", {"instruction": "q", "output": "a"}, {"text": "t"}, {"x": 1}, 7)
    pairs = write_rows(tmp_path / "pairs.jsonl", {"prompt": "q", "chosen": "a", "rejected": "b"}, [])
    found = run(
        {"type": "documents", "name": "d", "path": str(tmp_path / "doc.md")},
        {"type": "dataset", "name": "r", "path": rows},
        {"type": "preferences", "name": "p", "path": pairs, "ranker": "human"},
    )
    tables = (found.documents, found.examples, found.preferences)
    assert [table.num_rows for table in tables] == [2, 1, 1]
    kept = {row["row_id"] for row in found.ledger.to_pylist() if row["decision"] == "kept"}
    assert kept == {row_id for table in tables for row_id in table["id"].to_pylist()}
    assert reasons(found.ledger) == {"not_an_object": 2, "missing_keys": 1}
    assert found.preferences["ranker"].to_pylist() == ["human"]
    schemas = (DOCUMENTS, EXAMPLES, PREFERENCES, LEDGER)
    assert all(table.schema.equals(schema) for table, schema in zip(found, schemas, strict=True))


def test_dropped_row_names_its_file_row_and_line(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"text": "a"}\n\n{"text": 5}\n')
    ledger = run({"type": "dataset", "name": "r", "path": str(tmp_path)}).ledger.to_pylist()
    assert ledger[-1]["detail"].startswith("rows.jsonl:1 (line 3: text is int")


def test_columns_are_renamed_and_rows_keep_their_place(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "q.jsonl", {"q": "1+1?", "a": "2", "license": "CC0-1.0"})
    columns = {"q": "instruction", "a": "output"}
    source = {"type": "dataset", "name": "r", "path": rows, "columns": columns, "licence": "MIT"}
    (example,) = run(source).examples.to_pylist()
    assert [message["content"] for message in example["messages"]] == ["1+1?", "2"]
    assert (example["path"], example["row"], example["kind"], example["licence"]) == (
        "q.jsonl",
        0,
        "imported",
        "CC0-1.0",
    )
    assert example["group_id"] == example["id"]


def test_equal_rows_of_one_file_stay_two_rows(tmp_path: Path) -> None:
    twice = [{"instruction": "q", "output": "a"}] * 2
    pair = {"prompt": "q", "chosen": "a", "rejected": "b"}
    found = run(
        {
            "type": "dataset",
            "name": "r",
            "path": write_rows(tmp_path / "r.jsonl", *twice, {"text": "t"}, {"text": "t"}),
        },
        {"type": "preferences", "name": "p", "path": write_rows(tmp_path / "p.jsonl", pair, pair)},
    )
    assert (found.documents.num_rows, found.examples.num_rows, found.preferences.num_rows) == (2, 2, 2)


def test_raw_text_becomes_a_document_read_by_its_own_path_or_a_turn(tmp_path: Path) -> None:
    row = {"text": "---\ntitle: T\n---\nBody", "path": "docs/x.md", "licence": "BSD-3-Clause"}
    rows = write_rows(tmp_path / "t.jsonl", row)
    (document,) = run({"type": "dataset", "name": "r", "path": rows}).documents.to_pylist()
    assert (document["text"], document["title"], document["format"]) == ("Body", "T", "markdown")
    assert (document["path"], document["licence"]) == ("t.jsonl:0:docs/x.md", "BSD-3-Clause")
    (example,) = run({"type": "dataset", "name": "r", "path": rows, "text_as": "messages"}).examples.to_pylist()
    assert example["messages"] == [{"role": "assistant", "content": row["text"]}]


def test_message_text_is_repaired(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "r.jsonl", {"instruction": "a\r\nb", "output": "\ud800e\u0301\u0000 "})
    (example,) = run({"type": "dataset", "name": "r", "path": rows}).examples.to_pylist()
    assert [message["content"] for message in example["messages"]] == ["a\nb", "\ufffdé "]


def test_hostile_names_and_keys_reach_the_ledger_readably(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.md")
    path.write_bytes(b"")
    rows = write_rows(tmp_path / "r.jsonl", {"\ud800": 1})
    found = run(
        {"type": "documents", "name": "d", "path": str(tmp_path)}, {"type": "dataset", "name": "r", "path": rows}
    )
    details = found.ledger["detail"].to_pylist()
    assert details[0].startswith("caf\ufffd.md (")
    assert "\ufffd" in details[1]


def test_too_many_unusable_rows_stop_the_run(tmp_path: Path) -> None:
    source = {"type": "dataset", "name": "r", "path": write_rows(tmp_path / "r.jsonl", {"text": "t"}, 1, 2)}
    with pytest.raises(DropLimitError, match=r"stage extract dropped 2 of 3 rows .* not_an_object: 2"):
        run(source, max_drop_fraction=0.5)


@pytest.mark.real_data
@pytest.mark.parametrize(
    "folder", ["docs-docling-text", "docs-markitdown", "docs-zenml-projects", "pdf-pypdf", "blns", "jsontestsuite"]
)
def test_every_real_file_is_a_document_or_a_reason(real_data: Path, folder: str) -> None:
    place = real_data / folder
    found = run({"type": "documents", "name": "all", "path": str(place), "include": ["**"], "exclude": []})
    files = {file.relative_to(place).as_posix() for file in place.rglob("*") if file.is_file()}
    dropped = [row for row in found.ledger.to_pylist() if row["decision"] == "dropped"]
    told = {row["detail"].split(" (")[0]: row["reason"] for row in dropped}
    assert files == {*found.documents["path"].to_pylist(), *told}
    assert found.ledger.num_rows == len(files)
    assert not {"reader_crashed", "reader_timed_out", "reader_out_of_memory", "unreadable_file"} & set(told.values())


@pytest.mark.real_data
def test_real_data_sets_are_read_without_a_loss(real_data: Path) -> None:
    found = run(
        {
            "type": "dataset",
            "name": "gsm",
            "path": str(real_data / "gsm8k-train/train.jsonl"),
            "columns": {"question": "instruction", "answer": "output"},
        },
        {"type": "preferences", "name": "oasst", "path": str(real_data / "oasst-en100/en_100_tree.jsonl")},
        {"type": "dataset", "name": "hostile", "path": str(real_data / "jsontestsuite")},
    )
    assert (found.examples.num_rows, found.preferences.num_rows) == (7_473, 754)
    assert reasons(found.ledger)["too_deep_json"] == 2
