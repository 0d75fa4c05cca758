"""The calibration file: what it holds, and what is said when it cannot be used."""

import json

import pytest

from steps.errors import InputError
from steps.judging.calibration import (
    Calibration,
    JudgeCalibration,
    JuryCalibration,
    jury_fingerprint,
    load_calibration,
    write_calibration,
)


def entry(judge="a", n=100, **changed):
    values = {"judge": judge, "task": "pairwise", "agreement": 0.84, "low": 0.76, "high": 0.9, "n": n, "kappa": 0.68}
    return JudgeCalibration(**(values | changed))


def test_a_written_calibration_is_read_back_whole_and_byte_for_byte_the_same(tmp_path):
    jury = JuryCalibration(
        weights={"fa": 0.75, "fb": 0.25},
        members={"fa": "a", "fb": "b"},
        weighted=entry(),
        majority=entry(),
        best=entry(),
    )
    written = Calibration(judges={"fa": entry(), "fb": entry("b")}, juries={jury_fingerprint(["fb", "fa"]): jury})
    write_calibration(written, tmp_path / "deep" / "calibration.json")
    first = (tmp_path / "deep" / "calibration.json").read_bytes()
    read = load_calibration(tmp_path / "deep" / "calibration.json")
    assert read == written
    assert read.of_judge("fa").agreement == 0.84
    assert read.of_judge("another") is None
    assert read.of_jury(["fa", "fb"]).weights == {"fa": 0.75, "fb": 0.25}
    assert read.of_jury(["fa"]) is None
    write_calibration(read, tmp_path / "deep" / "calibration.json")
    assert (tmp_path / "deep" / "calibration.json").read_bytes() == first


def test_a_missing_file_says_which_command_writes_it(tmp_path):
    with pytest.raises(InputError, match=r"calibration_path=.*none\.json does not exist.*tunesmith calibrate report"):
        load_calibration(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "Invalid JSON"),
        ('{"version": 2}', "version"),
        ('{"judges": {"f": {"judge": "a"}}}', r"judges\.f\.task"),
        ('{"unheard_of": 1}', "unheard_of"),
    ],
)
def test_a_file_that_is_no_calibration_is_refused_with_the_place(tmp_path, content, said):
    (tmp_path / "bad.json").write_text(content)
    with pytest.raises(InputError, match=said):
        load_calibration(tmp_path / "bad.json")


def test_negative_weights_are_refused(tmp_path):
    broken = {"weights": {"f": -1.0}, "members": {"f": "a"}} | dict.fromkeys(
        ("weighted", "majority", "best"), entry().model_dump()
    )
    (tmp_path / "bad.json").write_text(json.dumps({"juries": {"x": broken}}))
    with pytest.raises(InputError, match="weights must be 0 or more"):
        load_calibration(tmp_path / "bad.json")


def test_few_labels_are_said():
    assert "hardly known" in entry(n=49).describe()
    assert entry(n=100).describe() == "0.84 of 100 pairs (95 % interval 0.76 to 0.90)"
