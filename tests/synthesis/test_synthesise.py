import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from steps.errors import DropLimitError
from steps.ledger import reasons
from steps.rows import DOCUMENTS, EXAMPLES, LEDGER, table
from steps.synthesis.synthesise import SynthesisSettings, synthesise


def documents(*texts: str) -> pa.Table:
    rows = [
        {
            "id": f"d{n}",
            "text": text,
            "source": "docs",
            "path": f"{n}.md",
            "format": "markdown",
            "title": "Cache guide",
            "licence": "MIT",
        }
        for n, text in enumerate(texts)
    ]
    return table(rows, DOCUMENTS)


def run(*texts: str, **settings: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    result = synthesise(documents(*texts), SynthesisSettings(max_drop_fraction=1.0, **settings))
    assert result.kept.schema.equals(EXAMPLES)
    assert result.ledger.schema.equals(LEDGER)
    return result.kept.to_pylist(), result.ledger.to_pylist()


def test_every_kind_is_found_and_carries_its_origin(guide: str) -> None:
    rows, ledger = run(guide)
    assert {row["kind"] for row in rows} == {"summary", "definition", "code", "list", "section"}
    assert {(row["document_id"], row["group_id"], row["source"], row["path"], row["licence"]) for row in rows} == {
        ("d0", "d0", "docs", "0.md", "MIT")
    }
    assert [(entry["row_id"], entry["decision"], entry["detail"]) for entry in ledger] == [
        ("d0", "kept", f"{len(rows)} pairs")
    ]


def test_every_answer_is_grounded_in_its_span(guide: str) -> None:
    rows, _ = run(guide)
    for row in rows:
        answer = row["messages"][-1]["content"].removeprefix("## TL;DR\n")
        span = guide[row["span_start"] : row["span_end"]]
        assert set(re.findall(r"\w+", answer)) <= set(re.findall(r"\w+", span))


def test_document_without_structure_is_dropped_with_its_path() -> None:
    rows, (entry,) = run("Just one line.")
    assert rows == []
    assert (entry["decision"], entry["reason"], entry["detail"]) == ("dropped", "no_usable_structure", "0.md")


def test_cap_takes_pairs_from_each_kind_in_turn(guide: str) -> None:
    rows, (entry,) = run(guide, max_pairs_per_document=2, kinds=("code", "list"))
    assert [row["kind"] for row in rows] == ["code", "list"]
    assert entry["detail"] == "2 pairs of 3 found"


def test_too_long_a_text_is_not_summarised_and_the_ledger_says_so(guide: str) -> None:
    rows, (entry,) = run(guide, kinds=("summary",), max_context_characters=300)
    assert rows == []
    assert entry["reason"] == "context_too_long"
    assert entry["detail"] == "0.md; 1 summaries of too long a text left out"
    rows, (entry,) = run(guide, kinds=("summary", "list"), max_context_characters=300)
    assert (entry["decision"], entry["detail"]) == ("kept", "1 pair; 1 summaries of too long a text left out")


def test_context_is_the_document_or_the_section_of_the_answer(guide: str) -> None:
    (row,), _ = run(guide, kinds=("list",), with_context=True)
    assert row["messages"][0]["content"].endswith(guide)
    (row,), _ = run(guide, kinds=("list",), with_context=True, max_context_characters=500)
    assert "## Eviction" in row["messages"][0]["content"]
    assert "## Setup" not in row["messages"][0]["content"]


def test_same_seed_same_rows_and_other_seeds_other_phrasings(guide: str) -> None:
    assert run(guide, seed=3) == run(guide, seed=3)
    prompts = {
        rows[0]["messages"][0]["content"].split("\n")[0] for seed in range(12) for rows in [run(guide, seed=seed)[0]]
    }
    assert len(prompts) > 2


def test_pairs_do_not_depend_on_the_documents_around(guide: str) -> None:
    alone, _ = run(guide)
    among, _ = run(guide, "# Other\n\nText.", guide)
    assert among[: len(alone)] == alone
    assert len({row["id"] for row in among}) == 2 * len(alone)


def test_too_many_empty_documents_stop_the_run() -> None:
    with pytest.raises(DropLimitError, match=r"synthesise dropped 2 of 2 rows .*no_usable_structure: 2"):
        synthesise(documents("x", "y"), SynthesisSettings(max_drop_fraction=0.5))


def test_no_documents_give_no_examples() -> None:
    assert run() == ([], [])


@pytest.mark.real_data
def test_real_documents_give_pairs_without_navigation(real_data: Path) -> None:
    from steps.extraction.extract import extract
    from steps.extraction.sources import ExtractionSettings, Sources

    source = {"type": "dataset", "name": "techdocs", "path": str(real_data / "techdocs/techdocs.jsonl"), "limit": 300}
    found = extract(Sources.model_validate({"sources": [source]}), ExtractionSettings())
    result = synthesise(found.documents, SynthesisSettings())
    assert result.kept.num_rows > 2 * found.documents.num_rows
    assert set(reasons(result.ledger)) <= {"no_usable_structure", "context_too_long"}
    answers = [messages[-1]["content"] for messages in result.kept["messages"].to_pylist()]
    assert min(map(len, answers)) > 10
