"""What the settings of every kind of judge share."""

from __future__ import annotations

from pydantic import Field

from steps.settings import Settings


class BaseJudgeSettings(Settings):
    """A judge by its name."""

    name: str | None = Field(default=None, min_length=1, max_length=80)
    """Name in verdicts and reports, unique among the judges of a stage; none makes `<type>:<model>`."""

    @property
    def judge_name(self) -> str:
        """The name, or what stands for it."""
        return self.name or self.default_name

    @property
    def default_name(self) -> str:
        """What the judge is called where no name is given."""
        raise NotImplementedError

    @property
    def scale_bounds(self) -> tuple[float, float]:
        """Lowest and highest score, known before the judge is made."""
        raise NotImplementedError

    @property
    def model_family(self) -> tuple[str, str | None] | None:
        """Model and family as configured; None for a judge that no one else's model stands behind."""
        return None
