import json

import pytest
import yaml
from click.testing import CliRunner

from pipelines.cli import main

CONFIG = {
    "name": "audited",
    "pipeline": "curate",
    "sources": [{"type": "dataset", "name": "made", "path": "rows.jsonl"}],
    "curation": {"filter": {"length": {"min_answer_words": 4, "max_conversation_tokens": 5}}},
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with a config and its one source: 90 rows, of which a third are too short."""
    answers = ["<b>[no]</b>" if n % 3 == 0 else f"An answer of some words, number {n}." for n in range(90)]
    rows = [{"instruction": f"Question {n}?", "output": answer} for n, answer in enumerate(answers)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_sources_that_were_never_curated_are_read_and_audited(folder):
    done = CliRunner().invoke(main, ["audit", "config.yaml", "--html", "out/audit.html", "--sources"])
    assert done.exit_code == 0, done.output
    assert "90 rows of the sources, read just now" in done.output
    assert "30 would be dropped (33.3%)" in done.output
    assert "too_few_answer_words" in done.output
    assert "bounds on tokens are left out" in done.output
    assert max(map(len, done.output.splitlines())) <= 110
    page = (folder / "out" / "audit.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;[no]&lt;/b&gt;" in page
    assert "<b>[no]" not in page
    assert "http" not in page


def test_a_program_reads_the_audit_as_json(folder):
    done = CliRunner().invoke(
        main, ["audit", "config.yaml", "--json", "--sources", "--set", "curation.filter.length.min_answer_words=1"]
    )
    report = json.loads(done.stdout)
    assert (report["n_audited"], report["n_dropped"], report["preset"]) == (90, 0, "instruction")


@pytest.mark.integration
def test_rows_of_a_curated_version_are_audited_with_the_tokens_of_its_base_model(small_run, in_workspace):
    bound = "curation.filter.length.max_conversation_tokens=40"
    done = CliRunner().invoke(main, ["audit", "small.yaml", "--json", "--set", bound])
    report = json.loads(done.stdout)
    assert report["origin"].startswith("the examples of small v")
    assert report["notes"] == []
    assert "too_many_conversation_tokens" in {rule["reason"] for rule in report["rules"]}


def test_a_source_that_does_not_exist_is_named(folder):
    done = CliRunner().invoke(main, ["audit", "config.yaml", "--sources", "--set", "sources.0.path=absent.jsonl"])
    assert done.exit_code == 2
    assert "absent.jsonl" in done.stderr
