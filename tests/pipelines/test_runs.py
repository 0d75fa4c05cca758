import json
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner
from zenml.client import Client
from zenml.enums import ModelStages

from pipelines.cli import main
from pipelines.runner import run_config
from pipelines.tracing import LEDGERS
from steps.dedup.index import read_index
from steps.dedup.minhash import MinHashSettings
from steps.errors import InputError
from steps.evaluation.rows import behaviour_hash

pytestmark = pytest.mark.integration


def test_the_books_of_every_stage_balance_and_chain(small_run):
    stages = {stage["stage"]: stage for stage in small_run.summary["stages"]}
    assert list(stages) == [name for name in LEDGERS if name not in {"generate", "ground"}]  # no model writes here
    for stage in stages.values():
        assert stage["n_in"] == stage["n_kept"] + stage["n_dropped"]
        assert sum(stage["reasons"].values()) == stage["n_dropped"]
    chain = ["filter", "dedup_exact", "dedup_minhash", "dedup_semantic", "judge", "split", "decontaminate", "mix"]
    for earlier, later in pairwise(chain):
        assert stages[earlier]["n_kept"] == stages[later]["n_in"]
    assert sum(small_run.summary["splits"].values()) == stages["mix"]["n_kept"]


def test_nothing_leaks_between_the_splits_and_the_report_says_so(small_run):
    report = (small_run.folder / "report.html").read_text()
    assert "Leaks between splits: 0 groups, 0 near duplicates, 0 texts" in " ".join(report.split())
    assert "Is it enough?" in report
    assert "Why rows were dropped" in report
    assert "overlaps_benchmark" in report


def test_what_the_corpus_planted_is_caught_where_it_should_be(small_run):
    planted = {kind["kind"]: kind for kind in small_run.summary["planted"]}
    for kind in ("exact_duplicate", "truncated_pdf", "encrypted_pdf", "empty_file", "banned_phrase", "undecided"):
        assert planted[kind]["n_caught"] == planted[kind]["n_planted"] > 0
    assert planted["test_leak"]["missed"] == []


def test_the_better_model_is_promoted_released_and_in_production(small_run):
    summary = small_run.summary
    assert summary["verdict"]["decision"] == "promote"
    assert small_run.refused is None
    assert summary["models"]["sft"]["metrics"]["loss"]["mean"] < summary["models"]["base"]["metrics"]["loss"]["mean"]
    production = Client().get_model_version("small", ModelStages.PRODUCTION)
    assert production.name == summary["model_version"]
    assert production.run_metadata["model_sha256"] == summary["verdict"]["model_sha256"]
    assert production.run_metadata["champion_before"] == ""
    release = small_run.folder / "release"
    assert {"model.safetensors", "chat_template.jinja", "README.md", "tokenizer.json"} <= {
        path.name for path in release.iterdir()
    }
    assert (release / "adapter" / "adapter_model.safetensors").is_file()
    assert behaviour_hash(release) == summary["verdict"]["model_sha256"]


def test_data_artifacts_carry_their_counts_and_hashes(small_run):
    steps = Client().get_pipeline_run(small_run.summary["run_id"]).steps
    dataset = steps["mix_dataset"].outputs["sft_dataset"][0]
    table = dataset.load()
    assert dataset.run_metadata["n_rows"] == table.num_rows
    assert dataset.run_metadata["n_tokens"] == sum(table["n_tokens"].to_pylist()) > 0
    assert dataset.run_metadata["splits"] == small_run.summary["splits"]
    assert dataset.run_metadata["content_sha256"] == dataset.content_hash
    ledger = steps["filter_examples"].outputs["filter_ledger"][0]
    assert ledger.run_metadata["n_in"] == ledger.run_metadata["n_kept"] + ledger.run_metadata["n_dropped"]
    assert [page.uri.endswith("preview.html") for page in ledger.visualizations] == [True]


def test_the_report_and_the_summary_say_the_same(small_run):
    summary = json.loads((small_run.folder / "summary.json").read_text())
    report = (small_run.folder / "report.html").read_text()
    assert summary == small_run.summary
    for stage in summary["stages"]:
        assert stage["stage"] in report
    assert "<svg" in report
    assert not re.search(r"""(?:src|href)=["']?https?:""", report), "the page must be self-contained"


def test_earlier_splits_are_honoured_and_training_rows_mixed(small_run, in_workspace):
    changed = ["pipeline=curate", "curation.split.seed=99", "curation.split.previous=latest"]
    mixed = run_config(in_workspace / "small.yaml", [*changed, "curation.mix={temperature: 3, max_drop_fraction: 1}"])
    tables = []
    for run in (small_run, mixed):
        steps = Client().get_pipeline_run(run.summary["run_id"]).steps
        tables.append(steps["split_dataset"].outputs["split_examples"][0].load().select(["id", "split"]))
    assert tables[1].equals(tables[0])
    dataset = steps["mix_dataset"].outputs["sft_dataset"][0].load()
    assert set(dataset["repeats"].to_pylist()) == {1, None}
    sampled = mixed.summary["stages"][-1]
    assert (sampled["stage"], set(sampled["reasons"])) == ("mix", {"sampled_out"})
    assert "The mix" in (mixed.folder / "report.html").read_text()


def test_no_output_of_any_step_is_pickled(small_run):
    run = Client().get_pipeline_run(small_run.summary["run_id"])
    kinds = {
        version.materializer.import_path.rsplit(".", 1)[-1]
        for step in run.steps.values()
        for versions in step.outputs.values()
        for version in versions
    }
    assert kinds == {
        "TableMaterializer",
        "ModelDirectoryMaterializer",
        "ReportMaterializer",
        "BuiltInMaterializer",
    }


def test_the_same_run_again_is_fully_cached_and_keeps_its_verdict(small_run, in_workspace):
    again = run_config(in_workspace / "small.yaml")
    assert all(step["cached"] for step in again.summary["steps"])
    assert again.summary["model_version"] == small_run.summary["model_version"]
    assert again.summary["verdict"] == small_run.summary["verdict"]


def test_another_seed_of_training_runs_only_what_it_decides_and_has_to_beat_the_champion(small_run, in_workspace):
    champion = small_run.summary["model_version"]
    result = CliRunner().invoke(
        main,
        ["run", "small.yaml", "--json", "--set", "training.sft.seed=4", "--set", "training.sft.learning_rate=1e-6"],
    )
    assert result.exit_code == 3, result.output
    assert "hold" in result.stderr
    summary = json.loads(result.stdout)
    assert summary["verdict"]["opponent"] == "champion"
    assert summary["verdict"]["champion_version"] == champion
    cached = {step["step"] for step in summary["steps"] if step["cached"]}
    assert {
        "extract_documents",
        "prepare_base_model",
        "decontaminate_dataset",
        "mix_dataset",
        "evaluate_base",
    } <= cached
    assert {"train_sft_model", "compare_and_gate", "release_model"}.isdisjoint(cached)
    assert Client().get_model_version("small", ModelStages.PRODUCTION).name == champion


def test_a_run_that_drops_too_much_stops_with_the_reasons_and_keeps_the_decisions(small_run, in_workspace):
    result = CliRunner().invoke(main, ["run", "small.yaml", "--set", "curation.filter.max_drop_fraction=0"])
    assert result.exit_code == 1
    assert "max_drop_fraction" in result.stderr
    (ledger,) = list(in_workspace.glob("outputs/*/filter_ledger.parquet"))
    assert str(ledger.relative_to(in_workspace)) in result.stderr


def test_the_parts_run_one_after_another_like_the_whole(small_run, in_workspace):
    def run(pipeline: str) -> dict:
        return run_config(in_workspace / "small.yaml", [f"pipeline={pipeline}", "name=parts"]).summary

    curated = run("curate")
    assert curated["splits"] == small_run.summary["splits"]
    finetuned = run("finetune")
    assert finetuned["model_version"] == curated["model_version"]
    evaluated = run("evaluate")
    whole = small_run.summary["models"]["sft"]["metrics"]["loss"]["mean"]
    assert evaluated["models"]["sft"]["metrics"]["loss"]["mean"] == pytest.approx(whole, rel=1e-5)
    assert evaluated["verdict"]["decision"] == "promote"
    released = run("release")
    assert Client().get_model_version("parts", ModelStages.PRODUCTION).name == released["model_version"]


def test_a_row_is_traced_from_its_file_to_the_data_set(small_run, in_workspace):
    run = Client().get_pipeline_run(small_run.summary["run_id"])
    dropped = run.steps["dedup_exact"].outputs["dedup_exact_ledger"][0].load().to_pylist()
    duplicate = next(row for row in dropped if row["decision"] == "dropped")
    result = CliRunner().invoke(main, ["trace", duplicate["row_id"][:16], "--name", "small", "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["row"]["source"] == "notes"
    fate = {decision["stage"]: decision for decision in found["decisions"]}
    assert fate["filter"]["decision"] == "kept"
    assert fate["dedup_exact"]["evidence_id"] == duplicate["evidence_id"]
    assert len(fate["dedup_exact"]["pair"]) == 2
    shown = CliRunner().invoke(main, ["trace", duplicate["row_id"], "--name", "small"])
    assert "│ kept row" in shown.output
    assert found["sft_dataset_split"] is None
    missing = CliRunner().invoke(main, ["trace", "no-such-id", "--name", "small"])
    assert missing.exit_code == 2


def test_a_trace_shows_what_every_judge_said_of_the_row(small_run, in_workspace):
    run = Client().get_pipeline_run(small_run.summary["run_id"])
    verdict = run.steps["judge_examples"].outputs["judge_verdicts"][0].load().to_pylist()[0]
    result = CliRunner().invoke(main, ["trace", verdict["item_id"], "--name", "small", "--json"])
    (found,) = json.loads(result.stdout)["verdicts"]
    assert (found["judge"], found["score"]) == ("defect_score", verdict["score"])
    shown = CliRunner().invoke(main, ["trace", verdict["item_id"], "--name", "small"])
    assert f"defect_score: {verdict['score']:.3g}: {verdict['rationale']}" in shown.output


def test_the_report_shows_clusters_with_their_members(small_run):
    page = (small_run.folder / "report.html").read_text()
    assert "largest clusters" in page
    assert "<h3>Exact</h3>" in page


def test_the_data_set_becomes_an_index_on_command_and_a_run_needs_one_that_is_there(small_run, in_workspace):
    path = "curation.dedup.minhash.index_path=index/corpus.arrow"
    refused = CliRunner().invoke(main, ["index", "small.yaml"])
    assert refused.exit_code == 2
    assert "index_path is not set" in refused.stderr
    done = CliRunner().invoke(main, ["index", "small.yaml", "--set", path, "--json"])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["added"] == said["rows"] == sum(small_run.summary["splits"].values())
    again = CliRunner().invoke(main, ["index", "small.yaml", "--set", path])
    assert ": 0 rows of" in again.output
    index = read_index("index/corpus.arrow", MinHashSettings(seed=3))
    assert len(index) == said["rows"]
    with pytest.raises(InputError, match=r"none\.arrow"):
        run_config(in_workspace / "small.yaml", ["curation.dedup.minhash.index_path=index/none.arrow"])


def test_chat_streams_from_the_release_in_its_own_template(small_run, in_workspace):
    release = small_run.folder / "release"
    result = CliRunner().invoke(main, ["chat", str(release), "--prompt", "hi", "--max-new-tokens", "5"])
    assert result.exit_code == 0, result.output
    refused = CliRunner().invoke(main, ["chat", str(in_workspace)])
    assert refused.exit_code == 2
    assert "config.json" in refused.stderr


def test_editing_a_stage_runs_it_and_its_descendants_again_and_nothing_else(tmp_path):
    """In a copy of the project, so that this one stays as it is."""
    root = Path(__file__).parents[2]
    for folder in ("steps", "pipelines"):  # times are kept, so that what numba compiled still fits its source
        subprocess.run(["cp", "-rp", str(root / folder), str(tmp_path)], check=True)
    from tests.pipelines.conftest import SMALL

    (tmp_path / "small.yaml").write_text(json.dumps({**SMALL, "pipeline": "curate"}))
    first = _run_copy(tmp_path)
    assert not any(step["cached"] for step in first["steps"])
    assert all(step["cached"] for step in _run_copy(tmp_path)["steps"])
    rules = tmp_path / "steps" / "filtering" / "length.py"
    rules.write_text(rules.read_text() + "\n# A comment changes the file, not what it does.\n")
    again = [step["step"] for step in _run_copy(tmp_path)["steps"] if not step["cached"]]
    assert again == ["filter_examples"]
    rules = tmp_path / "steps" / "filtering" / "rules.py"
    rules.write_text(
        rules.read_text()
        + "\n\n_whole = apply_filters\n\n\ndef apply_filters(examples, *others):\n"
        + "    return _whole(examples.slice(1), *others)\n"
    )
    again = {step["step"] for step in _run_copy(tmp_path)["steps"] if not step["cached"]}
    assert again == {
        "filter_examples",
        "dedup_exact",
        "dedup_minhash",
        "dedup_semantic",
        "judge_examples",
        "split_dataset",
        "decontaminate_dataset",
        "mix_dataset",
        "report_curation",
    }


def _run_copy(folder: Path) -> dict:
    """Run the copied project in a process of its own, with a ZenML database of its own."""
    import os

    environment = {
        **os.environ,
        "ZENML_CONFIG_PATH": str(folder / "zenml"),
        "ZENML_CUSTOM_SOURCE_ROOT": str(folder),
        "ZENML_REPOSITORY_PATH": str(folder),
        "PYTHONPATH": str(folder),
    }
    command = [sys.executable, "-m", "pipelines.cli", "run", "small.yaml", "--json"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
