"""A reward model: a sequence classifier that turns a conversation into one number."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from steps.judging.judge_settings import BaseJudgeSettings


class RewardModelSettings(BaseJudgeSettings):
    """A sequence classifier with one output, and a tokenizer that has a chat template."""

    type: Literal["reward_model"]
    model: str = Field(min_length=1)
    """Folder or Hub id of the model."""
    family: str | None = None
    """Whose model it is (`llama`, `qwen`, …); none derives it from the name."""
    scale: tuple[float, float] | None = None
    """Lowest and highest raw score that the model is known to give; a score beyond it is `out_of_scale`. None squashes
    the raw score by the logistic function into [0, 1]."""
    device: str = "auto"
    """`auto` takes a GPU where there is one; else a torch device such as `cpu`."""
    batch_size: int = Field(default=8, ge=1)
    """Conversations that are scored at once."""
    max_length_tokens: int | None = Field(default=None, ge=16)
    """Longest conversation in tokens; none takes the model's own limit. A longer one stays unscored (`too_long`): a
    truncated one would be scored for an answer that nobody gave."""

    @field_validator("scale")
    @classmethod
    def _is_a_range(cls, value: tuple[float, float] | None) -> tuple[float, float] | None:
        if value is not None and not value[0] < value[1]:
            raise ValueError("the lowest score comes first, e.g. [-10, 10]")
        return value

    @property
    def default_name(self) -> str:
        """`reward_model:<model>`."""
        return f"reward_model:{self.model}"

    @property
    def scale_bounds(self) -> tuple[float, float]:
        """As stated, or that of the logistic function."""
        return self.scale or (0.0, 1.0)

    @property
    def model_family(self) -> tuple[str, str | None]:
        """Model and family as configured."""
        return self.model, self.family
