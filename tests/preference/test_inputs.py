from steps.preference.build import PreferenceSettings
from steps.preference.inputs import endpoints_of, files_of
from tests.preference.judges import MODEL, PAIRWISE, judged


def test_every_endpoint_of_the_stage_is_named_for_the_check_of_keys():
    settings = PreferenceSettings(
        sampled={**judged("a"), "others": [{"model": MODEL | {"model": "b"}}]},
        revision={"model": MODEL | {"model": "c"}},
    )
    assert {endpoint.model for endpoint in endpoints_of(settings)} == {"other", "b", "c"}
    assert [one.model for one in endpoints_of(PreferenceSettings(sampled=PAIRWISE))] == ["other"]
    assert endpoints_of(PreferenceSettings()) == []


def test_files_that_the_settings_name_count_and_what_the_stage_writes_does_not(tmp_path):
    names = ("rubric.yaml", "calibration.json", "replies.sqlite", "labels.jsonl", "weights.npz")
    paths = {name: str(tmp_path / name) for name in names}
    rubric = "name: r\nsystem: $levels\ntemplate: $prompt $answer $fence\nlevels: {1: bad, 2: good}\n"
    for path in paths.values():
        (tmp_path / path).write_text(rubric, encoding="utf-8")
    grader = {"type": "llm", "model": {**MODEL, "cache_path": paths["replies.sqlite"]}, "rubric": paths["rubric.yaml"]}
    trained = {"type": "classifier", "labels_path": paths["labels.jsonl"], "weights_path": paths["weights.npz"]}
    sampled = {"ranker": "judges", "judges": [grader, trained], "calibration_path": paths["calibration.json"]}
    expected = sorted(paths[name] for name in ("rubric.yaml", "calibration.json", "labels.jsonl"))
    assert files_of(PreferenceSettings(sampled=sampled)) == expected
    stored = {"type": "classifier", "weights_path": paths["weights.npz"]}
    only = PreferenceSettings(sampled={"ranker": "judges", "judges": [stored]})
    assert files_of(only) == [paths["weights.npz"]]
    assert files_of(PreferenceSettings()) == []
