"""What the settings of every kind of judge share."""

from __future__ import annotations

from abc import ABC, abstractmethod

from pydantic import Field

from steps.llm.models import Model
from steps.settings import Settings


class BaseJudgeSettings(Settings, ABC):
    """A judge by its name."""

    name: str | None = Field(default=None, min_length=1, max_length=80)
    """Name in verdicts and reports, unique among the judges of a stage; none makes `<type>:<model>`."""

    @property
    def judge_name(self) -> str:
        """The name, or what stands for it."""
        return self.name or self.default_name

    @property
    @abstractmethod
    def default_name(self) -> str:
        """What the judge is called where no name is given."""

    @property
    @abstractmethod
    def scale_bounds(self) -> tuple[float, float]:
        """Lowest and highest score, known before the judge is made."""

    @property
    def model_family(self) -> tuple[str, str | None] | None:
        """Model and family as configured; None for a judge that no one else's model stands behind."""
        return None


class AskedJudgeSettings(BaseJudgeSettings):
    """A judge that asks a model by a prompt file."""

    type: str
    """Which kind of judge it is."""
    model: Model
    """The judging model: an endpoint, or one in this process."""

    @property
    def default_name(self) -> str:
        """`<type>:<model>`."""
        return f"{self.type}:{self.model.model}"

    @property
    def model_family(self) -> tuple[str, str | None]:
        """Model and family as configured."""
        return self.model.model, self.model.family
