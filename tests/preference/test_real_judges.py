"""The judges of `steps.judging`, with a model that answers by a rule: what it is shown in which order is theirs."""

import json
import re

import pytest

from steps.ledger import reasons
from steps.llm.budget import Budget
from steps.llm.request import Reply
from steps.preference.asking import Models
from steps.preference.build import PreferenceSettings, build_preferences
from tests.preference.conftest import answers, preferences, row, sft
from tests.preference.judges import PAIRWISE, judged

DATASET = sft(*(row(f"q{i}", f"Question {i}?", f"Answer {i}.") for i in range(4)), row("t", "T?", "T.", "test"))
MARK = "with a star"


def build(say, **sampled):
    def sample(prompts, generation):
        return [answers(f"a plain reply {i}", f"a reply {MARK} {i}", f"some words {i}") for i in range(len(prompts))]

    def complete(requests):
        texts = [json.dumps(say(request)) for request in requests]
        return [Reply(text, "grader", 9, 4, 0.001, 0.1, 1, False, None, "stop") for text in texts]

    settings = PreferenceSettings(imported=False, sampled=sampled, max_drop_fraction=1)
    return build_preferences(preferences(), DATASET, sample, settings, Models(Budget(), 1, complete))


def shown(request, name):
    return re.findall(rf"BEGIN {name} \w+\n(.*?)\nEND {name}", request.messages[-1]["content"], re.DOTALL)[0]


def by_mark(request):
    stars = [MARK in shown(request, f"ANSWER {letter}") for letter in "AB"]
    return {"rationale": "looked for the star", "choice": "tie" if stars[0] == stars[1] else "AB"[stars.index(True)]}


def test_a_judge_that_prefers_the_mark_makes_it_chosen_everywhere():
    result = build(by_mark, **PAIRWISE)
    assert result.kept.num_rows == 4
    assert all(MARK in pair["chosen"][0]["content"] for pair in result.kept.to_pylist())
    assert not any(MARK in pair["rejected"][0]["content"] for pair in result.kept.to_pylist())
    assert result.report["usage"]["grader"]["n_requests"] == result.verdicts.num_rows == 2 * 4 * 3
    assert result.report["comparisons"]["n_inconsistent"] == 0


@pytest.mark.parametrize("position", ["A", "B"])
def test_a_judge_that_prefers_a_position_gives_no_pair(position):
    result = build(lambda request: {"rationale": "it stands there", "choice": position}, **PAIRWISE)
    assert reasons(result.ledger) == {"inconsistent_orders": 4}
    assert result.report["comparisons"]["share_first_wins"] == float(position == "A")


def test_a_judge_of_single_answers_makes_the_mark_chosen():
    def say(request):
        required = request.schema["required"]
        score = 5 if MARK in shown(request, "ANSWER") else 2
        return {key: "seen" if key == "rationale" else score for key in required}

    result = build(say, min_margin=3.0, **judged("strict"))
    assert {(pair["chosen_score"], pair["rejected_score"]) for pair in result.kept.to_pylist()} == {(5.0, 2.0)}
    assert all(MARK in pair["chosen"][0]["content"] for pair in result.kept.to_pylist())
    verdicts = result.verdicts.to_pylist()
    assert all(one["prompt_sha256"] and one["rationale"] == "seen" and one["raw"] for one in verdicts)
