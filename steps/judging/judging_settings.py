"""The settings of stage `judge`."""

from __future__ import annotations

from pydantic import Field, model_validator

from steps.judging.calibration import MIN_AGREEMENT
from steps.judging.defect_judge import DefectJudgeSettings
from steps.judging.guard import EXEMPT, HOW
from steps.judging.judges import JudgeSettings
from steps.judging.jury import Aggregate
from steps.judging.selection import SelectSettings
from steps.llm.budget import BudgetSettings, check_priced
from steps.settings import Settings


class JudgingSettings(Settings):
    """Who scores the examples, and what becomes of the scores."""

    judges: tuple[JudgeSettings, ...] = (DefectJudgeSettings(type="defect"),)
    """One judge, or a jury. The default is the embedded detector of broken rows, which is no measure of quality; with
    none, all rows stay unscored (`not_judged`)."""
    aggregate: Aggregate = "median"
    """How the scores of a jury become one, each on a scale of 0 to 1. `majority` is the share of judges that score at
    least 0.5; `weighted` takes weights that `tunesmith calibrate` learned from people's labels."""
    quorum: int | None = Field(default=None, ge=1)
    """Judges of a jury that must have scored a row, else it stays unscored (`too_few_judges`); none: more than half."""
    select: SelectSettings | None = None
    """Which rows stay by their score; none keeps all."""
    calibration_path: str | None = Field(default=None, min_length=1)
    """File that `tunesmith calibrate report` wrote: how far these judges agree with people."""
    min_agreement: float = Field(default=MIN_AGREEMENT, ge=0, le=1)
    """Agreement with people, as a share of the labelled pairs, below which a judge must not select rows."""
    accept_uncalibrated: bool = False
    """Let judges select rows although nobody knows how far people agree with them, or although it is too little."""
    budget: BudgetSettings = BudgetSettings()
    """What all judges together may spend."""
    max_unscored_fraction: float = Field(default=0.1, ge=0, le=1)
    """Above this fraction of rows without a score the run stops; unscored rows are kept with their reason."""
    max_drop_fraction: float = Field(default=0.5, ge=0, le=1)
    """Above this fraction of dropped rows the run stops."""
    seed: int = Field(default=7, ge=0)
    """Seeds folds, corruptions and classifier of the detector, the fences around text that a model grades, and the
    choice among equal scores."""

    @model_validator(mode="after")
    def _judges_fit_together(self) -> JudgingSettings:
        names = [judge.judge_name for judge in self.judges]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two judges are called {', '.join(twice)}; give each a name of its own")
        if self.quorum is not None and self.quorum > len(self.judges):
            raise ValueError(f"quorum={self.quorum} is more than the {len(self.judges)} judges there are")
        if self.aggregate == "weighted" and self.calibration_path is None:
            raise ValueError("aggregate=weighted needs calibration_path, the file that holds the weights")
        check_priced((judge.model for judge in self.judges if hasattr(judge, "model")), self.budget)
        return self

    @model_validator(mode="after")
    def _may_select(self) -> JudgingSettings:
        if self.select is None:
            return self
        if not self.judges:
            raise ValueError("select needs scores; name at least one judge")
        low, high = self.scale
        bound = self.select.min_score
        if bound is not None and not low <= bound <= high:
            raise ValueError(f"select.min_score={bound:g} is outside the scale of the scores, {low:g} to {high:g}")
        asked = [judge.judge_name for judge in self.judges if judge.type not in EXEMPT]
        if asked and self.calibration_path is None and not self.accept_uncalibrated:
            raise ValueError(
                f"select lets {', '.join(asked)} drop rows, which nobody compared with people's labels; {HOW}"
            )
        return self

    @property
    def scale(self) -> tuple[float, float]:
        """Lowest and highest score of a row: of a single judge its own, of a jury 0 to 1."""
        return self.judges[0].scale_bounds if len(self.judges) == 1 else (0.0, 1.0)

    @property
    def needed(self) -> int:
        """Judges that must have scored a row."""
        return self.quorum or len(self.judges) // 2 + 1
