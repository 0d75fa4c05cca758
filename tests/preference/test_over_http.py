import json
from collections import Counter

import pytest

from steps.errors import BudgetExceededError
from steps.preference.build import PreferenceSettings, build_preferences
from tests.llm.server import FakeEndpoint
from tests.preference.conftest import answers, preferences, row, sft

DATASET = sft(row("q", "Which rope holds the boat?", "The blue one."), row("t", "T?", "T.", "test"))
MENDED = "It is the blue rope, at the bow."


def say(messages):
    """Sample, grade or revise, by what the prompt asks for."""
    asked = messages[-1]["content"]
    if "BEGIN REVIEW" in asked:
        return json.dumps({"changes": "named it", "answer": MENDED})
    if "BEGIN ANSWER" in asked:
        graded = asked.split("BEGIN ANSWER")[1].split("END ANSWER")[0]
        score = 5 if "blue rope" in graded else 3 if "blue" in graded else 1
        criteria = ("instruction_following", "correctness", "completeness", "clarity")
        return json.dumps({"rationale": "looked", **dict.fromkeys(criteria, score), "score": score})
    return "Perhaps the blue one."


@pytest.fixture
def build(tmp_path):
    def run(endpoint, **settings):
        model = {"base_url": endpoint.base_url, "model": "tiny", "cache_path": str(tmp_path / "replies.sqlite")}
        model |= {"price_per_million_input_usd": 1.0, "price_per_million_output_usd": 1.0}
        judge = {"type": "llm", "name": "grader", "model": model, "rubric": "helpfulness_v2"}
        sampled = {"ranker": "judges", "judges": [judge], "min_margin": 2.0, "others": [{"model": model}]}
        chosen = PreferenceSettings(imported=False, sampled=sampled, revision={"model": model}, **settings)
        samples = answers("Some rope or other.", "Ask the mate.")
        return build_preferences(preferences(), DATASET, lambda prompts, generation: [samples], chosen)

    return run


def test_samples_grades_and_revisions_come_from_an_endpoint_and_are_paid_once(build):
    with FakeEndpoint(say) as endpoint:
        first, again = build(endpoint), build(endpoint)
    assert Counter(pair["chosen"][0]["content"] for pair in first.kept.to_pylist()) == {
        "Perhaps the blue one.": 1,
        MENDED: 1,
    }
    # One sample, three grades, one revision and its grade; the original's second grade comes from the cache.
    assert sum(endpoint.asked.values()) == 6
    assert again.kept.equals(first.kept)
    (paid,), (replayed,) = (run.report["usage"].values() for run in (first, again))
    assert (paid["n_requests"], paid["n_cached"], replayed["n_requests"], replayed["n_cached"]) == (6, 0, 6, 6)
    assert paid["cost_usd"] == pytest.approx(6 * 110e-6)
    assert replayed["cost_usd"] == 0


def test_the_stage_stops_at_its_budget_and_keeps_what_was_paid_for(build):
    with FakeEndpoint(say) as endpoint:
        with pytest.raises(BudgetExceededError, match="max_cost_usd"):
            build(endpoint, budget={"max_cost_usd": 0.003})
        n_paid = sum(endpoint.asked.values())
        build(endpoint)
        assert 0 < n_paid < sum(endpoint.asked.values()) == 6
