"""A rubric: what the judge is told, the scale with every level described, and examples. One YAML file each."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

import yaml
from pydantic import Field, ValidationError, field_validator

from steps.errors import ConfigError
from steps.rows import content_id
from steps.settings import Settings

_BUNDLED = Path(__file__).parent / "rubrics"

#: Control tokens of common chat templates: in graded text they could end the judge's turn and begin another.
_CONTROL = re.compile(
    r"<\|[^<>|\s]{1,40}\|>|<｜[^<>｜]{1,40}｜>|</?s>|\[/?INST\]|<</?SYS>>|</?(?:start|end)_of_turn>|</?think>"
)


class GradedExample(Settings):
    """One worked example shown to the judge."""

    prompt: str
    answer: str
    rationale: str
    score: int


class Rubric(Settings):
    """The content of a rubric file."""

    name: str
    """Name of the rubric, with its version."""
    system: str
    """What the judge is told; `$levels` stands for the described scale."""
    template: str
    """The user turn, with `$prompt`, `$answer` and `$fence`."""
    levels: dict[int, str] = Field(min_length=2)
    """Each score that may be given, with what it means."""
    few_shot: tuple[GradedExample, ...] = ()
    """Examples with rationale and score."""

    @field_validator("template")
    @classmethod
    def _fences_the_text(cls, value: str) -> str:
        missing = [name for name in ("$prompt", "$answer", "$fence") if name not in value]
        if missing:
            raise ValueError(f"lacks {', '.join(missing)}")
        return value

    @property
    def scale(self) -> tuple[int, int]:
        """Lowest and highest score."""
        return min(self.levels), max(self.levels)

    @property
    def reply_schema(self) -> dict[str, Any]:
        """JSON schema of the judge's reply; the rationale comes first, so that the score follows from it."""
        low, high = self.scale
        return {
            "type": "object",
            "properties": {
                "rationale": {"type": "string"},
                "score": {"type": "integer", "minimum": low, "maximum": high},
            },
            "required": ["rationale", "score"],
            "additionalProperties": False,
        }


class LoadedRubric(NamedTuple):
    """A rubric and the SHA-256 of its file."""

    rubric: Rubric
    sha256: str


def load_rubric(name_or_path: str) -> LoadedRubric:
    """Load a bundled rubric by name, or one of your own by the path of its YAML file.

    Raises:
        ConfigError: if there is no such rubric, or the file is not one.
    """
    bundled = _BUNDLED / f"{name_or_path}.yaml"
    path = bundled if bundled.is_file() else Path(name_or_path)
    if not path.is_file():
        names = ", ".join(sorted(file.stem for file in _BUNDLED.glob("*.yaml")))
        raise ConfigError(f"rubric {name_or_path!r} is neither a bundled rubric ({names}) nor a YAML file")
    content = path.read_bytes()
    try:
        rubric = Rubric.model_validate(yaml.safe_load(content))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"rubric {path.name} is not YAML: {error}") from None
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise ConfigError(f"rubric {path.name} is not usable: {problems}; compare the bundled helpfulness_v1") from None
    return LoadedRubric(rubric, hashlib.sha256(content).hexdigest())


def render_messages(
    rubric: Rubric, row_id: str, prompt: Sequence[Mapping[str, str]], answer: str, seed: int
) -> list[dict[str, str]]:
    """Write the judge's prompt for one answer.

    Args:
        rubric: What to tell the judge.
        row_id: Id of the row; the fence derives from it.
        prompt: The turns before the answer.
        answer: The text to grade.
        seed: Changes every fence.
    """
    levels = "\n".join(f"{score} = {meaning}" for score, meaning in sorted(rubric.levels.items()))
    messages = [{"role": "system", "content": Template(rubric.system).safe_substitute(levels=levels).strip()}]
    for example in rubric.few_shot:
        shown = [{"role": "user", "content": example.prompt}]
        verdict = json.dumps({"rationale": example.rationale, "score": example.score}, ensure_ascii=False)
        user = _user_turn(rubric, content_id("example", example.prompt, seed), shown, example.answer, seed)
        messages += [user, {"role": "assistant", "content": verdict}]
    return [*messages, _user_turn(rubric, row_id, prompt, answer, seed)]


def fence(row_id: str, texts: Sequence[str], seed: int) -> str:
    """Return a code that occurs in none of the texts, the same in every run.

    The row's id hashes the text, so a text cannot quote the code that it will be fenced with; should one contain it
    all the same, the next code is taken.
    """
    for attempt in range(1000):
        code = content_id("fence", row_id, seed, attempt)[:16]
        if not any(code in text for text in texts):
            return code
    raise ConfigError(f"row {row_id}: no delimiter is free of the text; drop this row, it was made to defeat judging")


def neutralise(text: str) -> str:
    """Take the power from chat-template control tokens, and leave them readable.

    >>> neutralise("fine<|im_end|><|im_start|>system")
    'fine< |im_end| >< |im_start| >system'
    """
    return _CONTROL.sub(lambda match: f"{match[0][0]} {match[0][1:-1]} {match[0][-1]}", text)


def _user_turn(
    rubric: Rubric, row_id: str, prompt: Sequence[Mapping[str, str]], answer: str, seed: int
) -> dict[str, str]:
    if len(prompt) == 1 and prompt[0]["role"] == "user":
        asked = prompt[0]["content"]
    else:
        asked = "\n\n".join(f"{message['role']}: {message['content']}" for message in prompt)
    asked, answer = neutralise(asked), neutralise(answer)
    code = fence(row_id, (asked, answer), seed)
    # One pass: a `$fence` inside the graded text stays what it is.
    content = Template(rubric.template).safe_substitute(prompt=asked, answer=answer, fence=code)
    return {"role": "user", "content": content.strip()}
