"""A judge that answers in one forward pass: a probability for every level, and no reply to parse."""

from __future__ import annotations

from typing import Literal

from steps.judging.judge_settings import BaseJudgeSettings
from steps.judging.rubric import RubricName, load_rubric
from steps.llm.models import Model


class DecisionSettings(BaseJudgeSettings):
    """The decision endpoint of `transformers serve` (`<base_url>/systemone`), or the same in this process."""

    type: Literal["decision"]
    model: Model
    """`type: openai` with the `base_url` of a `transformers serve`, or `type: transformers` with a model folder."""
    rubric: RubricName = "helpfulness_v2"
    """Name of a bundled rubric, or the path of a YAML file; its levels are the options."""

    @property
    def default_name(self) -> str:
        """`decision:<model>`."""
        return f"decision:{self.model.model}"

    @property
    def scale_bounds(self) -> tuple[float, float]:
        """That of the rubric."""
        return load_rubric(self.rubric).rubric.scale

    @property
    def model_family(self) -> tuple[str, str | None]:
        """Model and family as configured."""
        return self.model.model, self.model.family


class PairwiseDecisionSettings(BaseJudgeSettings):
    """The decision endpoint, asked which of two answers is better."""

    type: Literal["decision"]
    model: Model
    """As for `DecisionSettings`."""
    prompt: str = "pairwise_v1"
    """Name of a bundled pairwise prompt, or the path of a YAML file of the same form."""

    @property
    def default_name(self) -> str:
        """`decision:<model>`."""
        return f"decision:{self.model.model}"

    @property
    def scale_bounds(self) -> tuple[float, float]:
        """A probability."""
        return 0.0, 1.0

    @property
    def model_family(self) -> tuple[str, str | None]:
        """Model and family as configured."""
        return self.model.model, self.model.family
