"""A pairwise prompt: what a judge of pairs is told, the choices, and examples. One YAML file each."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import field_validator, model_validator

from steps.judging.judge_prompt import JudgePrompt, check_places, described
from steps.judging.verdict import Pair
from steps.llm.prompt_files import checked_by, load_prompt_file
from steps.rows import content_id
from steps.settings import Settings

_BUNDLED = Path(__file__).parent / "pairwise_prompts"
#: What each choice says of P(the first shown is better).
WORTH = {"A": 1.0, "B": 0.0, "tie": 0.5}
_TOLD = {"$choices"}


class ComparedExample(Settings):
    """One worked comparison shown to the judge."""

    prompt: str
    first: str
    second: str
    rationale: str
    choice: str
    reference: str | None = None


class PairwisePrompt(JudgePrompt):
    """The content of a pairwise prompt file."""

    choices: dict[str, str]
    """`A` (the first shown is better), `B`, and `tie` where it may be given, each with what it means."""
    few_shot: tuple[ComparedExample, ...] = ()
    """Examples with rationale and choice."""

    @field_validator("template")
    @classmethod
    def _fences_the_texts(cls, value: str) -> str:
        check_places(value, {"$prompt", "$first", "$second", "$fence"}, {"$reference_block"})
        return value

    @field_validator("system", "reply_format")
    @classmethod
    def _knows_its_places(cls, value: str) -> str:
        check_places(value, set(), _TOLD)
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> PairwisePrompt:
        if not {"A", "B"} <= set(self.choices) <= set(WORTH):
            raise ValueError("choices are A and B, and tie if one may be declared")
        if "$choices" not in self.system + self.reply_format:
            raise ValueError("system or reply_format must show $choices")
        for example in self.few_shot:
            if example.choice not in self.choices:
                raise ValueError(f"the example {example.prompt[:40]!r} chooses {example.choice!r}, which is no choice")
            if self.needs_reference and example.reference is None:
                raise ValueError(f"the example {example.prompt[:40]!r} lacks a reference")
        return self

    @property
    def reply_schema(self) -> dict[str, Any]:
        """JSON schema of the judge's reply; the rationale comes first, so that the choice follows from it."""
        return {
            "type": "object",
            "properties": {
                "rationale": {"type": "string"},
                "choice": {"type": "string", "enum": list(self.choices)},
            },
            "required": ["rationale", "choice"],
            "additionalProperties": False,
        }

    def instructions(self, *, with_reply_format: bool) -> str:
        """Return the system turn, with the reply's form for a chat model."""
        return self.told(with_reply_format, choices=described(self.choices))


class LoadedPairwise(NamedTuple):
    """A pairwise prompt and the SHA-256 of its file."""

    prompt: PairwisePrompt
    sha256: str


def load_pairwise(name_or_path: str) -> LoadedPairwise:
    """Load a bundled pairwise prompt by name, or one of your own by the path of its YAML file.

    Raises:
        ConfigError: if there is no such prompt, or the file is not one.
    """
    return LoadedPairwise(*load_prompt_file(PairwisePrompt, "pairwise prompt", name_or_path, _BUNDLED))


#: A pairwise prompt in a config: checked when the config is read.
PairwiseName = Annotated[str, checked_by(load_pairwise)]


def both_orders(pairs: Sequence[Pair]) -> list[tuple[str, Pair]]:
    """Return every pair as given (`ab`) and swapped (`ba`), one after the other."""
    return [
        shown for pair in pairs for shown in (("ab", pair), ("ba", pair._replace(first=pair.second, second=pair.first)))
    ]


def expected_worth(probabilities: Mapping[str, float]) -> float:
    """Return P(the first shown is better), a tie counting half."""
    return math.fsum(WORTH[choice] * p for choice, p in probabilities.items())


def render_pair(prompt: PairwisePrompt, pair: Pair, seed: int) -> list[dict[str, str]]:
    """Write the judge's prompt for one pair, in the order in which it stands.

    Args:
        prompt: What to tell the judge.
        pair: What to compare.
        seed: Changes every fence.
    """
    messages = [{"role": "system", "content": prompt.instructions(with_reply_format=True)}]
    for example in prompt.few_shot:
        asked = [{"role": "user", "content": example.prompt}]
        key = content_id("example", example.prompt, seed)
        shown = Pair(key, asked, example.first, example.second, example.reference)
        verdict = {"rationale": example.rationale, "choice": example.choice}
        messages += [
            {"role": "user", "content": pair_turn(prompt, shown, seed)},
            {"role": "assistant", "content": json.dumps(verdict, ensure_ascii=False)},
        ]
    return [*messages, {"role": "user", "content": pair_turn(prompt, pair, seed)}]


def pair_turn(prompt: PairwisePrompt, pair: Pair, seed: int) -> str:
    """Write the turn that holds one pair."""
    texts = {"first": pair.first, "second": pair.second}
    return prompt.user_turn(pair.item_id, pair.prompt, texts, pair.reference, seed)
