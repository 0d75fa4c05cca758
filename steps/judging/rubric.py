"""A rubric: what the judge is told, the scale with every level described, and examples. One YAML file each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import Field, field_validator, model_validator

from steps.judging.judge_prompt import JudgePrompt, check_places, described
from steps.judging.verdict import Item
from steps.llm.prompt_files import checked_by, load_prompt_file
from steps.rows import content_id
from steps.settings import Settings

_BUNDLED = Path(__file__).parent / "rubrics"
_TOLD = {"$levels", "$criteria", "$criterion_levels"}


class GradedExample(Settings):
    """One worked example shown to the judge."""

    prompt: str
    answer: str
    rationale: str
    score: int
    criteria: dict[str, int] = Field(default_factory=dict)
    """The score of each criterion of the rubric."""
    reference: str | None = None
    """The reference shown with it."""


class Rubric(JudgePrompt):
    """The content of a rubric file."""

    levels: dict[int, str] = Field(min_length=2, max_length=11)
    """Each score that may be given, with what it means. A small scale: people and models tell few levels apart."""
    criteria: dict[str, str] = Field(default_factory=dict)
    """What is scored beside the whole, by name, with what is asked; each gets a score on the same scale."""
    criterion_levels: dict[int, str] = Field(default_factory=dict)
    """What each score means for a single criterion; empty: as for the whole."""
    few_shot: tuple[GradedExample, ...] = ()
    """Examples with rationale and scores."""

    @field_validator("template")
    @classmethod
    def _fences_the_text(cls, value: str) -> str:
        check_places(value, {"$prompt", "$answer", "$fence"}, {"$reference_block"})
        return value

    @field_validator("system", "reply_format")
    @classmethod
    def _knows_its_places(cls, value: str) -> str:
        check_places(value, set(), _TOLD)
        return value

    @field_validator("criteria")
    @classmethod
    def _names_are_keys(cls, value: dict[str, str]) -> dict[str, str]:
        for name in value:
            if not name.isidentifier() or name in {"rationale", "score"}:
                raise ValueError(f"{name!r} cannot be a key of the reply; use a name such as correctness")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Rubric:
        told = self.system + self.reply_format
        if "$levels" not in told or (self.criteria and "$criteria" not in told):
            raise ValueError("system or reply_format must show $levels, and $criteria where there are any")
        if self.criterion_levels and set(self.criterion_levels) != set(self.levels):
            raise ValueError("criterion_levels must describe the same scores as levels")
        for example in self.few_shot:
            scores = [example.score, *example.criteria.values()]
            if set(example.criteria) != set(self.criteria) or not set(scores) <= set(self.levels):
                raise ValueError(f"the example {example.prompt[:40]!r} lacks a criterion, or has a score of no level")
            if self.needs_reference and example.reference is None:
                raise ValueError(f"the example {example.prompt[:40]!r} lacks a reference")
        return self

    @property
    def scale(self) -> tuple[int, int]:
        """Lowest and highest score."""
        return min(self.levels), max(self.levels)

    @property
    def reply_schema(self) -> dict[str, Any]:
        """JSON schema of the judge's reply; the rationale comes first, so that the scores follow from it."""
        low, high = self.scale
        keys = (*self.criteria, "score")
        return {
            "type": "object",
            "properties": {
                "rationale": {"type": "string"},
                **{key: {"type": "integer", "minimum": low, "maximum": high} for key in keys},
            },
            "required": ["rationale", *keys],
            "additionalProperties": False,
        }

    def instructions(self, *, with_reply_format: bool) -> str:
        """Return the system turn, with the reply's form for a chat model."""
        return self.told(
            with_reply_format,
            levels=described(dict(sorted(self.levels.items()))),
            criteria=described(self.criteria),
            criterion_levels=described(dict(sorted((self.criterion_levels or self.levels).items()))),
        )


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


#: A rubric in a config: checked when the config is read, so that a misspelled name costs nothing.
RubricName = Annotated[str, checked_by(load_rubric)]


def render_item(rubric: Rubric, item: Item, seed: int) -> list[dict[str, str]]:
    """Write the judge's prompt for one item.

    Args:
        rubric: What to tell the judge.
        item: What to grade.
        seed: Changes every fence.
    """
    messages = [{"role": "system", "content": rubric.instructions(with_reply_format=True)}]
    for example in rubric.few_shot:
        shown = Item(
            content_id("example", example.prompt, seed),
            [{"role": "user", "content": example.prompt}],
            example.answer,
            example.reference,
        )
        verdict = {"rationale": example.rationale, **_in_order(example.criteria, rubric), "score": example.score}
        messages += [
            {"role": "user", "content": item_turn(rubric, shown, seed)},
            {"role": "assistant", "content": json.dumps(verdict, ensure_ascii=False)},
        ]
    return [*messages, {"role": "user", "content": item_turn(rubric, item, seed)}]


def item_turn(rubric: Rubric, item: Item, seed: int) -> str:
    """Write the turn that holds one item."""
    return rubric.user_turn(item.item_id, item.prompt, {"answer": item.answer}, item.reference, seed)


def _in_order(criteria: Mapping[str, int], rubric: Rubric) -> dict[str, int]:
    return {name: criteria[name] for name in rubric.criteria}
