"""A judge of pairs: which of two answers is better, asked in both orders."""

from __future__ import annotations

from typing import Literal

from steps.judging.judge_settings import BaseJudgeSettings
from steps.llm.models import Model


class PairwiseLLMSettings(BaseJudgeSettings):
    """A chat model that compares two answers."""

    type: Literal["llm"]
    model: Model
    """The judging model: an endpoint, or one in this process."""
    prompt: str = "pairwise_v1"
    """Name of a bundled pairwise prompt, or the path of a YAML file of the same form."""
    probability_weighting: bool = False
    """Take P(first is better) from the probabilities of the choice's token where the endpoint gives them; else a win
    counts 1, a tie 0.5, a loss 0."""

    @property
    def default_name(self) -> str:
        """`llm:<model>`."""
        return f"llm:{self.model.model}"

    @property
    def scale_bounds(self) -> tuple[float, float]:
        """A probability."""
        return 0.0, 1.0

    @property
    def model_family(self) -> tuple[str, str | None]:
        """Model and family as configured."""
        return self.model.model, self.model.family
