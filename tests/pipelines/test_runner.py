import subprocess
import sys
from pathlib import Path

from pipelines.runner import _refusal

VERDICT = {"decision": "hold", "reason": "The interval does not lie above 0.", "model_sha256": "aa"}


def test_a_candidate_that_is_not_promoted_is_a_refusal_that_names_the_evidence():
    refusal = _refusal({"verdict": VERDICT, "models": {"champion": {"model_sha256": "bb"}}}, Path("outputs/run"))
    assert refusal is not None
    assert refusal.exit_code == 3
    assert "outputs/run/report.html" in str(refusal)


def test_a_candidate_that_is_the_model_in_production_already_is_no_refusal():
    assert _refusal({"verdict": VERDICT, "models": {"champion": {"model_sha256": "aa"}}}, Path("run")) is None


def test_a_run_without_a_verdict_and_a_promotion_are_no_refusals():
    assert _refusal({"verdict": None, "models": {}}, Path("run")) is None
    assert _refusal({"verdict": {**VERDICT, "decision": "promote"}, "models": {}}, Path("run")) is None


def test_zenml_is_not_imported_before_its_environment_is_prepared():
    found = "import sys, pipelines.runner; print([name for name in ('zenml', 'torch', 'numba') if name in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", found], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
