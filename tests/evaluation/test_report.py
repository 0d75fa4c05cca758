import json

import pyarrow as pa
import pytest

from steps.evaluation.evaluate import EvaluationSettings
from steps.evaluation.gate import GateSettings
from steps.evaluation.report import compare
from tests.evaluation.conftest import evaluation

GATE = GateSettings(metric="exact_match", n_resamples=400)
SETTINGS = EvaluationSettings(metrics=("exact_match",))


@pytest.fixture
def evaluations() -> dict[str, pa.Table]:
    better = [1.0] * 22 + [0.0] * 8
    return {
        "base": evaluation("base", scores=[0.0] * 24 + [1.0] * 6, losses=[2.0] * 30),
        "base_few_shot": evaluation("base", scores=[0.0] * 30, mode="few_shot"),
        "sft": evaluation("sft", scores=better, losses=[1.0] * 30),
        "champion": evaluation("old", scores=[0.5] * 30, losses=[1.5] * 30),
    }


def test_the_report_is_plain_json_with_every_model(evaluations, dataset):
    report, verdict = compare(evaluations, dataset, SETTINGS, GATE, "v1")
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert set(report["models"]) == set(evaluations)
    assert report["verdict"] == verdict
    assert verdict["champion_version"] == "v1"
    assert report["models"]["sft"]["metrics"]["exact_match"]["mean"] == pytest.approx(22 / 30)
    assert report["models"]["sft"]["loss"]["mean"] == pytest.approx(1.0)
    assert report["models"]["base_few_shot"]["loss"] is None


def test_differences_are_signed_as_measured_and_say_which_way_is_better(evaluations, dataset):
    report, _ = compare(evaluations, dataset, SETTINGS, GATE)
    found = {(d["model"], d["against"], d["metric"]): d for d in report["differences"]}
    loss = found["sft", "base", "loss"]
    assert (loss["mean"], loss["direction"]) == (pytest.approx(-1.0), "better")
    assert found["sft", "champion", "loss"]["mean"] == pytest.approx(-0.5)
    assert found["base_few_shot", "base", "exact_match"]["direction"] == "worse"
    assert ("base_few_shot", "base", "loss") not in found


def test_the_rows_that_got_worse_are_shown_side_by_side(evaluations, dataset):
    report, _ = compare(evaluations, dataset, SETTINGS, GATE)
    shown = report["regressions"]
    assert [row["row_id"] for row in shown] == ["test-22", "test-23", "test-24", "test-25", "test-26"]
    assert shown[0]["prompt"][-1]["content"] == "test question 22"
    assert shown[0]["reference"] == "test answer 22"
    assert shown[0]["answers"] == {
        name: f"{who} 22"
        for name, who in (("base", "base"), ("base_few_shot", "base"), ("sft", "sft"), ("champion", "old"))
    }
    assert (shown[0]["candidate"], shown[0]["opponent"]) == (0.0, 0.5)


def test_errors_are_counted_by_reason(dataset):
    evaluations = {
        "base": evaluation("base", scores=[0.0] * 25, errors=5),
        "sft": evaluation("sft", scores=[1.0] * 30),
    }
    report, verdict = compare(evaluations, dataset, SETTINGS, GATE)
    assert report["models"]["base"]["errors"] == {"too long": 5}
    assert report["models"]["base"]["n_answered"] == 25
    assert report["valid"] is False
    assert verdict["decision"] == "invalid"


def test_a_model_that_answered_nothing_has_no_numbers_instead_of_nan(dataset):
    evaluations = {"base": evaluation("base", errors=30), "sft": evaluation("sft", scores=[1.0] * 30)}
    report, _ = compare(evaluations, dataset, SETTINGS, GATE)
    assert json.dumps(report, allow_nan=False)
    assert report["models"]["base"]["mean_tokens"] is None


def test_the_worst_regression_comes_first(dataset):
    losses = [1.0] * 28 + [2.5, 3.0]
    evaluations = {"base": evaluation("base", losses=[2.0] * 30), "sft": evaluation("sft", losses=losses)}
    report, _ = compare(evaluations, dataset, SETTINGS, GateSettings(n_resamples=400))
    assert [row["row_id"] for row in report["regressions"]] == ["test-29", "test-28"]
    assert report["regressions"][0]["candidate"] == pytest.approx(3.0)
