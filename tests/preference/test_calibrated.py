import pytest
from pydantic import ValidationError

from steps.errors import InputError
from steps.judging.calibration import (
    Calibration,
    JudgeCalibration,
    JuryCalibration,
    jury_fingerprint,
    write_calibration,
)
from steps.preference.sampled_settings import SampledSettings
from tests.preference.judges import HandMade, ScoringJudge, judged
from tests.preference.test_ranking import STARS, build, chosen_of, stars

FAIR = ScoringJudge(stars, "fair")
CONTRARY = ScoringJudge(lambda text: 6 - stars(text), "contrary")


def known(name, agreement):
    return JudgeCalibration(judge=name, task="pointwise", agreement=agreement, low=0.1, high=0.9, n=90, kappa=0.5)


@pytest.fixture
def calibration_path(tmp_path):
    path = tmp_path / "calibration.json"
    weights = {FAIR.fingerprint: 0.9, CONTRARY.fingerprint: 0.1}
    names = {FAIR.fingerprint: "fair", CONTRARY.fingerprint: "contrary"}
    jury = JuryCalibration(
        weights=weights, members=names, weighted=known("w", 0.9), majority=known("m", 0.6), best=known("b", 0.8)
    )
    judges = {FAIR.fingerprint: known("fair", 0.85), CONTRARY.fingerprint: known("contrary", 0.2)}
    write_calibration(Calibration(judges=judges, juries={jury_fingerprint(weights): jury}), path)
    return str(path)


def test_learned_weights_keep_a_contrary_judge_from_blurring_the_labels(calibration_path):
    jury = judged("fair", "contrary")
    assert build(HandMade([FAIR, CONTRARY]), min_margin=0.5, **jury).kept.num_rows == 0
    result = build(
        HandMade([FAIR, CONTRARY]), min_margin=0.5, aggregate="weighted", calibration_path=calibration_path, **jury
    )
    assert result.kept.num_rows == 6
    assert all(STARS in text for text in chosen_of(result))
    assert result.kept["chosen_score"].to_pylist() == pytest.approx([0.9] * 6)
    (warning,) = result.report["warnings"]
    assert "judge contrary agrees with people on 0.20" in warning


def test_a_judge_without_a_calibration_is_warned_of(calibration_path):
    other = ScoringJudge(stars, "other")
    for path in (None, calibration_path):
        (warning,) = build(HandMade([other]), calibration_path=path, **judged("other")).report["warnings"]
        assert "judge other was never compared with people" in warning


def test_a_jury_of_other_members_has_no_learned_weights(calibration_path):
    models = HandMade([FAIR, ScoringJudge(stars, "other")])
    with pytest.raises(InputError, match="no weights for the jury of fair, other"):
        build(models, aggregate="weighted", calibration_path=calibration_path, **judged("fair", "other"))
    with pytest.raises(ValidationError, match="needs calibration_path"):
        SampledSettings(aggregate="weighted", **judged("fair"))
