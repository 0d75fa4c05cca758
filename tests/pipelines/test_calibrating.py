"""`tunesmith calibrate` from a sample of a curated version to a calibration that a stage reads."""

import csv
import json

import pytest
from click.testing import CliRunner

from pipelines.cli import main
from steps.judging.calibration import load_calibration
from steps.judging.labels import read_rows, write_rows
from steps.judging.sample import Candidate, SampleSettings, sample_of


def tunesmith(*arguments):
    return CliRunner().invoke(main, ["calibrate", *map(str, arguments)])


@pytest.fixture
def labelled(tmp_path):
    """Sixty pairs of which the first is better, labelled by two people, and the saved verdicts of two judges on them."""
    pairs = [Candidate(f"p{at}", "s", "k", f"Q{at}", (f"right {at}", "wrong"), None) for at in range(60)]
    rows = sample_of(pairs, SampleSettings(n=60))
    said = [
        {**row, "annotator": name, "label": "tie" if at % 10 == slip else "A" if row["order"] == "ab" else "B"}
        for name, slip in (("Ann", 0), ("[b]Bob", 1))
        for at, row in enumerate(rows)
    ]
    write_rows(tmp_path / "labels.csv", said)
    verdicts = [
        {"item_id": f"p{at}", "judge": name, "order": order, "score": float((order == "ab") == (at % every != 0))}
        for name, every in (("<i>good", 10), ("weak", 3))
        for at in range(60)
        for order in ("ab", "ba")
    ]
    (tmp_path / "saved.jsonl").write_text("\n".join(map(json.dumps, verdicts)))
    return tmp_path


def test_labels_and_saved_outputs_become_a_report_a_page_and_a_calibration(labelled):
    done = tunesmith("report", labelled / "labels.csv", "--verdicts", labelled / "saved.jsonl",
                     "--out", labelled / "calibration.json", "--html", labelled / "page.html")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "120 labels of 2 people on 60 pairs" in done.output
    assert "[b]Bob" in done.output
    assert max(map(len, done.output.splitlines())) <= 140
    entries = {entry.judge: entry for entry in load_calibration(labelled / "calibration.json").judges.values()}
    assert entries["<i>good"].agreement == pytest.approx(0.9)
    assert entries["weak"].agreement == pytest.approx(2 / 3, abs=0.05)
    page = (labelled / "page.html").read_text(encoding="utf-8")
    assert "&lt;i&gt;good" in page
    assert "<i>good" not in page
    assert "http" not in page


def test_a_program_reads_the_report_as_json(labelled):
    done = tunesmith("report", labelled / "labels.csv", "--verdicts", labelled / "saved.jsonl", "--json")
    report = json.loads(done.stdout)
    assert [judge["passes"] for judge in report["judges"]] == [True, False]
    assert report["jury"]["learned"]
    assert report["jury"]["weighted"]["value"] >= report["jury"]["majority"]["value"]


def test_people_alone_are_reported_on_without_any_verdict(labelled):
    report = json.loads(tunesmith("report", labelled / "labels.csv", "--json").stdout)
    assert report["judges"] == []
    assert report["people"]["ceiling"]["value"] == pytest.approx(0.9, abs=0.06)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("report", "none.csv"), "none.csv does not exist; write one with `tunesmith calibrate sample CONFIG`"),
        (("label", "none.csv"), "none.csv does not exist"),
        (("sample", "none.yaml"), "none.yaml does not exist"),
        (("sample", "none.yaml", "--out", "labels.xlsx"), "the name must end with .csv or .jsonl"),
    ],
)
def test_what_is_missing_is_said_in_a_sentence(arguments, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = tunesmith(*arguments)
    assert done.exit_code == 2
    assert said in done.stderr


@pytest.mark.integration
def test_a_sample_of_a_curated_version_holds_rows_of_all_sources_and_is_not_overwritten(small_run, in_workspace):
    done = tunesmith("sample", "small.yaml", "--n", 24, "--out", "labels.csv", "--scale", "1-5")
    assert done.exit_code == 0, done.output
    assert "24 rows of small v" in done.output
    with open("labels.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["source"] for row in rows} == {"notes", "chat_log"}
    assert all(row["answer"] and not row["label"] for row in rows)
    again = tunesmith("sample", "small.yaml", "--n", 24, "--out", "labels.csv")
    assert again.exit_code == 2
    assert "exists and may hold labels" in again.stderr
    wrong = tunesmith("sample", "small.yaml", "--out", "new.csv", "--scale", "often")
    assert wrong.exit_code == 2
    assert "--scale='often'" in wrong.stderr


@pytest.mark.integration
def test_pairs_are_sampled_from_the_versions_preferences_and_their_ranker_is_compared(small_run, in_workspace):
    done = tunesmith("sample", "small.yaml", "--n", 10, "--pairs", "--out", "pairs.jsonl")
    assert done.exit_code == 0, done.output
    rows = [{**row, "annotator": "Ann", "label": "A"} for row in read_rows(in_workspace / "pairs.jsonl")]
    write_rows(in_workspace / "pairs.jsonl", rows)
    report = json.loads(tunesmith("report", "pairs.jsonl", "--config", "small.yaml", "--json").stdout)
    (ranker,) = report["judges"]
    assert ranker["judge"] == "ranker human"
    assert ranker["agreement"]["value"] == 0.5  # each side was shown as A in half of the pairs
