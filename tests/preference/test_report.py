import json
import re

import pytest

from pipelines.results import Results, render_report
from steps.preference.build import PreferenceSettings, build_preferences
from tests.preference.conftest import answers, pair, preferences, row, sft
from tests.preference.judges import MODEL, PAIRWISE, ComparingJudge, HandMade, prefers, reply

DATASET = sft(row("q", "Which rope?", "The blue one."), row("t", "What is a rudder?", "It steers.", "test"))
PEOPLE = preferences(
    pair("Why?", "Because of the wind from the north.", "Rain.", 0) | {"chosen_score": 4.0, "rejected_score": 1.5},
    pair("Who?", "Mate.", "The old cook of the ship.", 1) | {"chosen_score": 3.0, "rejected_score": 2.5},
    pair("what is a RUDDER?", "A blade.", "A rope.", 2),
    pair("How?", "Slowly and with great care, as ever.", "Fast.", 3),
)


@pytest.fixture(scope="module")
def result():
    settings = PreferenceSettings(
        sampled={**PAIRWISE, "others": [{"model": MODEL}]}, length_bias={"max_length_bias": 0.2}, max_drop_fraction=1
    )
    models = HandMade(comparing=ComparingJudge(prefers("blue")), reply=lambda _: reply("a red rope"))
    samples = answers("the blue rope", "some rope")
    return build_preferences(PEOPLE, DATASET, lambda prompts, generation: [samples], settings, models)


def test_the_report_is_plain_json(result):
    assert json.loads(json.dumps(result.report)) == result.report


def test_origins_rankers_and_margins_are_counted(result):
    report = result.report
    found = {origin: (one["n_found"], one["n_used"]) for origin, one in report["origins"].items()}
    assert found == {"imported": (4, 2), "sampled": (1, 1)}
    assert report["rankers"] == {"human": 2, "pairwise:comparer": 1}
    assert report["margins"]["human"] == {"n": 2, "min": 0.5, "p50": 1.5, "max": 2.5}
    assert report["margins"]["pairwise:comparer"] == {"n": 1, "min": 0.75, "p50": 0.75, "max": 0.75}
    assert (report["n_candidates"], report["n_pairs"], report["n_dropped"]) == (5, 3, 2)


def test_length_bias_stands_before_and_after_its_bounding(result):
    bias = result.report["length_bias"]
    counts = {when: (one["n_longer_chosen"], one["n_longer_rejected"]) for when, one in bias.items()}
    assert counts == {"before": (3, 1), "after": (2, 1)}
    assert result.report["reasons"] == {"prompt_in_test": 1, "length_bias": 1}


def test_the_page_shows_the_preferences(result):
    summary = {
        "run": "r", "pipeline": "finetune", "model": "m", "model_version": "v", "wall_s": 1.0, "verdict": None,
        "stages": [], "sources": [], "splits": {}, "tokens": {}, "planted": [], "models": {}, "steps": [],
        "artifacts": [],
    }  # fmt: skip
    html = render_report(Results(summary, {"preference_report": result.report}, None)).split("</head>")[1]
    text = " ".join(re.sub(r"<[^>]+>", " ", html).split())
    assert "3 pairs of 5 candidates" in text
    assert "imported 4 2" in text
    assert "3 comparisons in both orders: 0 inconsistent, 1 ties" in text


def test_a_judge_of_a_generators_family_is_flagged():
    llama = {"base_url": "http://localhost:1/v1", "model": "llama-3-8b"}
    sampled = {"ranker": "judges", "judges": [{"type": "llm", "model": llama}], "others": [{"model": llama}]}
    settings = PreferenceSettings(imported=False, sampled=sampled, max_drop_fraction=1)
    result = build_preferences(PEOPLE, sft(), lambda prompts, generation: [], settings, HandMade())
    (warning,) = result.report["warnings"]
    assert "llama" in warning
