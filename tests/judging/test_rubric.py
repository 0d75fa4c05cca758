import hashlib
import json

import pytest
import yaml

from steps.errors import ConfigError
from steps.judging import rubric as module
from steps.judging.rubric import load_rubric, render_item
from steps.judging.verdict import Item
from tests.judging.chat import QUESTION

BUNDLED = sorted(path.stem for path in module._BUNDLED.glob("*.yaml"))
#: A frozen file never changes again: scores of old runs cite these hashes.
FROZEN = {"helpfulness_v1": "0f28dc72a7438255afaec4f118ac7c194fdd309cd593633ab8942b415c573dfc"}


def test_the_rubrics_that_the_documentation_names_are_bundled_and_frozen_ones_are_untouched():
    assert {"helpfulness_v1", "helpfulness_v2", "grounded_v1", "code_v1"} <= set(BUNDLED)
    assert {name: load_rubric(name).sha256 for name in FROZEN} == FROZEN


@pytest.mark.parametrize("name", BUNDLED)
def test_a_rubric_is_named_as_its_file_and_its_version_is_the_hash_of_the_file(name):
    loaded = load_rubric(name)
    assert loaded.rubric.name == name
    assert loaded.sha256 == hashlib.sha256((module._BUNDLED / f"{name}.yaml").read_bytes()).hexdigest()


@pytest.mark.parametrize("name", BUNDLED)
def test_the_judge_is_told_every_level_and_criterion_and_the_rule_of_the_fence(name):
    rubric = load_rubric(name).rubric
    system = render_item(rubric, Item("id", QUESTION, "7"), seed=1)[0]["content"]
    assert all(meaning in system for meaning in rubric.levels.values())
    assert all(f"{name} = " in system and f'"{name}"' in system for name in rubric.criteria)
    assert "BEGIN and END" in system
    assert "$" not in system


@pytest.mark.parametrize("name", BUNDLED)
def test_the_rationale_comes_first_and_the_score_last_in_schema_and_examples(name):
    rubric = load_rubric(name).rubric
    keys = ["rationale", *rubric.criteria, "score"]
    assert list(rubric.reply_schema["properties"]) == keys == rubric.reply_schema["required"]
    messages = render_item(rubric, Item("id", QUESTION, "7"), 1)
    shown = [json.loads(message["content"]) for message in messages if message["role"] == "assistant"]
    assert len(shown) == len(rubric.few_shot) >= 2
    assert all(list(verdict) == keys for verdict in shown)
    assert len({verdict["score"] for verdict in shown}) >= 3, "examples of few levels teach few levels"


@pytest.mark.parametrize("name", BUNDLED)
def test_the_material_stands_between_lines_with_the_code_and_nowhere_else(name):
    rubric = load_rubric(name).rubric
    item = Item("id", [{"role": "user", "content": "THE QUESTION"}], "THE ANSWER", "THE REFERENCE")
    text = render_item(rubric, item, 1)[-1]["content"]
    for label, content in (("REQUEST", "THE QUESTION"), ("ANSWER", "THE ANSWER")):
        before, _, behind = text.partition(content)
        code = before.rstrip("\n").rpartition(f"BEGIN {label} ")[2]
        assert behind.startswith(f"\nEND {label} {code}\n")
        assert text.count(content) == 1
    assert ("THE REFERENCE" in text) == bool(rubric.reference_template)
    assert "\n\n\n" not in text


@pytest.mark.parametrize("name", [name for name in BUNDLED if name != "helpfulness_v1"])
def test_a_decision_model_is_told_nothing_of_json(name):
    rubric = load_rubric(name).rubric
    assert rubric.question
    assert "JSON" not in rubric.instructions(with_reply_format=False)
    assert "JSON" in rubric.instructions(with_reply_format=True)


def test_without_a_reference_no_empty_block_is_shown():
    rubric = load_rubric("helpfulness_v2").rubric
    text = render_item(rubric, Item("id", QUESTION, "7"), 1)[-1]["content"]
    assert "REFERENCE" not in text
    assert "$" not in text
    assert "\n\n\n" not in text


def test_placeholders_in_the_graded_text_are_not_filled():
    rubric = load_rubric("helpfulness_v2").rubric
    text = "$fence and $prompt and ${reference} cost $5 or $$5"
    assert text in render_item(rubric, Item("row", QUESTION, text, "R"), 1)[-1]["content"]


def test_an_unknown_rubric_or_a_broken_file_is_refused_with_its_name(tmp_path):
    with pytest.raises(ConfigError, match="helpfulness_v1"):
        load_rubric("helpfulness_v9")
    broken = tmp_path / "mine.yaml"
    broken.write_text("name: mine\nsystem: $levels\ntemplate: $prompt\nlevels: {1: bad, 2: good}\n")
    with pytest.raises(ConfigError, match=r"mine\.yaml.*\$answer"):
        load_rubric(str(broken))


GOOD = {
    "name": "mine",
    "system": "Grade. $levels $criteria",
    "template": "$fence\n$prompt\n$answer\n$fence",
    "levels": {1: "bad", 2: "good"},
    "criteria": {"style": "Is it terse?"},
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"system": "Grade."}, "must show"),
        ({"system": "Grade. $levels $criterion"}, r"\$criterion is filled by nothing"),
        ({"template": "$fence $prompt $answer $answr"}, r"\$answr is filled by nothing"),
        ({"criteria": {"score": "?"}}, "cannot be a key"),
        ({"criteria": {"two words": "?"}}, "cannot be a key"),
        ({"criterion_levels": {1: "no", 3: "yes"}}, "same scores"),
        ({"levels": {1: "bad"}}, "at least 2"),
        ({"needs_reference": True}, "no reference_template"),
        ({"reference_template": "$reference $fence"}, "go together"),
        ({"few_shot": [{"prompt": "q", "answer": "a", "rationale": "r", "score": 1}]}, "lacks a criterion"),
        (
            {"few_shot": [{"prompt": "q", "answer": "a", "rationale": "r", "score": 3, "criteria": {"style": 1}}]},
            "no level",
        ),
        ({"few_shots": []}, "Extra"),
    ],
)
def test_a_rubric_that_would_mislead_is_refused_with_the_reason(tmp_path, change, message):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(GOOD))
    assert load_rubric(str(path)).rubric.criteria == GOOD["criteria"]
    path.write_text(yaml.safe_dump({**GOOD, **change}))
    with pytest.raises(ConfigError, match=message):
        load_rubric(str(path))
