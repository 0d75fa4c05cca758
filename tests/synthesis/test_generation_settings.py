import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from steps.synthesis.people import load_personas, load_seeds
from tests.synthesis.test_generate import settings


def written(tmp_path: Path, *lines: Any) -> str:
    path = tmp_path / "seeds.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return str(path)


GOOD = {"instruction": "How?", "answer": "So."}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ((GOOD, "not JSON"), "line 2: found no JSON"),
        ((GOOD, {"instruction": "How?"}), "line 2: expected"),
        (({"instruction": " ", "answer": "x"},), "line 1: expected"),
        (([],), "line 1: expected"),
        (({**GOOD, "kind": "poem"},), "kind 'poem' is none of question_answering"),
        ((" ",), "holds no pair"),
    ],
)
def test_unusable_examples_are_named_by_their_line(tmp_path: Path, lines: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        settings(few_shot_path=written(tmp_path, *lines))


def test_examples_are_read_once_each(tmp_path: Path) -> None:
    assert len(load_seeds(written(tmp_path, GOOD, GOOD, {**GOOD, "kind": "summary"}))) == 2


def test_own_personas_are_read(tmp_path: Path) -> None:
    path = tmp_path / "people.yaml"
    path.write_text("name: mine\npersonas: [a pilot]\n")
    assert load_personas(str(path)) == ("a pilot",)
    assert len(load_personas("personas_v1")) >= 10
    assert load_personas(None) == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kinds": {"summary": 0}}, "one of them above 0"),
        ({"kinds": {"summary": -1, "code": 1}}, "weights must be 0 or more"),
        ({"kinds": {"poem": 1}}, "poem"),
        ({"prompts": {"summary": "question_answering_v1"}}, "is named for summary"),
        ({"prompts": {"summary": "missing.yaml"}}, "neither a bundled prompt"),
        ({"personas": "missing"}, "neither a bundled personas"),
        ({"few_shot_path": "missing.jsonl"}, "cannot be read"),
        ({"revise": True, "ground": None}, "set ground"),
        ({"ground": {"judge": {"model": {"base_url": "http://x/v1", "model": "m"}, "prompt": "no"}}}, "bundled prompt"),
    ],
)
def test_wrong_settings_are_refused_before_anything_is_asked(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        settings(**changes)


def test_files_of_the_user_are_listed_for_the_cache_key(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD)
    assert settings(few_shot_path=path, personas="personas_v1").files == [path]
