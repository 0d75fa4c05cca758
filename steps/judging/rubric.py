"""A rubric: what the judge is told, the scale with every level described, and examples. One YAML file each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, Field, field_validator

from steps.errors import ConfigError
from steps.llm.fencing import fence, neutralise
from steps.llm.prompt_files import load_prompt_file
from steps.rows import content_id
from steps.settings import Settings

_BUNDLED = Path(__file__).parent / "rubrics"


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


def _exists(name_or_path: str) -> str:
    try:
        load_rubric(name_or_path)
    except ConfigError as error:
        raise ValueError(str(error)) from None
    return name_or_path


#: A rubric in a config: checked when the config is read, so that a misspelled name costs nothing.
RubricName = Annotated[str, AfterValidator(_exists)]


class LoadedRubric(NamedTuple):
    """A rubric and the SHA-256 of its file."""

    rubric: Rubric
    sha256: str


def load_rubric(name_or_path: str) -> LoadedRubric:
    """Load a bundled rubric by name, or one of your own by the path of its YAML file.

    Raises:
        ConfigError: if there is no such rubric, or the file is not one.
    """
    return LoadedRubric(*load_prompt_file(Rubric, "rubric", name_or_path, _BUNDLED))


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
