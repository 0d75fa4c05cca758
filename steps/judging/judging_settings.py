"""The settings of stage `judge`."""

from __future__ import annotations

from collections import Counter

from pydantic import Field, model_validator

from steps.judging.calibration import MIN_AGREEMENT
from steps.judging.defect_judge import DefectJudgeSettings
from steps.judging.judges import JudgeSettings
from steps.judging.jury import Aggregate
from steps.judging.selection import SelectSettings
from steps.llm.budget import BudgetSettings, check_priced
from steps.settings import Settings


class JudgingSettings(Settings):
    """Who scores the examples, and what becomes of the scores."""

    judges: tuple[JudgeSettings, ...] = (DefectJudgeSettings(type="defect"),)
    """One judge scores on its own scale; several are a jury, whose score is in [0, 1]; with none all rows stay unscored
    (`not_judged`). The default finds broken rows and is no measure of quality."""
    aggregate: Aggregate = "median"
    """How a jury's votes become a score. `weighted` takes the weights of the calibration."""
    quorum: int | None = Field(default=None, ge=1)
    """Votes that a row needs, else it is unscored (`too_few_judges`); none is a strict majority of the jury."""
    pass_level: float = Field(default=0.5, ge=0, le=1)
    """Vote in [0, 1] from which on a member is for a row, for `majority`; 0.75 is a 4 on a scale of 1 to 5."""
    select: SelectSettings | None = None
    """Which rows stay; none keeps all."""
    calibration_path: str | None = None
    """File of `tunesmith calibrate report`: the judges' agreement with people, and weights."""
    min_agreement: float = Field(default=MIN_AGREEMENT, ge=0, le=1)
    """A judge or jury that agrees with people on less cannot be used in `select`."""
    accept_uncalibrated: bool = False
    """Filters with judges all the same that were never compared with people, or agree with them too little."""
    budget: BudgetSettings = BudgetSettings()
    """What all judges together may spend."""
    max_unscored_fraction: float = Field(default=0.1, ge=0, le=1)
    """Above this fraction of rows without a score the run stops; unscored rows are kept with their reason."""
    max_drop_fraction: float = Field(default=0.5, ge=0, le=1)
    """Above this fraction of rows below `select.min_score` the run stops; what `top_k` and `top_fraction` drop was
    asked for."""
    seed: int = Field(default=7, ge=0)
    """Seeds folds and corruptions of the detector, the fences around graded text, and the choice among ties."""

    @model_validator(mode="after")
    def _judges_fit_together(self) -> JudgingSettings:
        twice = [name for name, n in Counter(judge.judge_name for judge in self.judges).items() if n > 1]
        if twice:
            raise ValueError(f"two judges are called {twice[0]!r}; give each a name of its own")
        if self.quorum is not None and self.quorum > max(len(self.judges), 1):
            raise ValueError(f"quorum={self.quorum} can never be reached by {len(self.judges)} judges")
        if self.aggregate == "weighted" and len(self.judges) > 1 and self.calibration_path is None:
            raise ValueError("aggregate=weighted takes its weights from calibration_path; see `tunesmith calibrate`")
        check_priced([judge.model for judge in self.judges if hasattr(judge, "model")], self.budget)
        return self

    @model_validator(mode="after")
    def _selection_fits_the_scale(self) -> JudgingSettings:
        if self.select is None:
            return self
        if not self.judges:
            raise ValueError(f"select.{self.select.describe()} needs scores; name a judge in judges")
        low, high = self.scale
        if self.select.min_score is not None and not low <= self.select.min_score <= high:
            whose = "a jury's scale" if len(self.judges) > 1 else "the judge's scale"
            raise ValueError(f"select.min_score={self.select.min_score:g} is outside {whose}, {low:g} to {high:g}")
        return self

    @property
    def scale(self) -> tuple[float, float]:
        """Lowest and highest score of the stage."""
        return self.judges[0].scale_bounds if len(self.judges) == 1 else (0.0, 1.0)

    @property
    def min_score(self) -> float | None:
        """The bound of `select`, if that is its rule."""
        return self.select.min_score if self.select is not None else None

    @property
    def files(self) -> list[str]:
        """Files whose content decides the result: calibration, rubrics of one's own, labels of a classifier."""
        named = [getattr(judge, key, None) for judge in self.judges for key in ("labels_path", "weights_path")]
        rubrics = [
            rubric for judge in self.judges if (rubric := getattr(judge, "rubric", "")).endswith((".yaml", ".yml"))
        ]
        return [path for path in [self.calibration_path, *named, *rubrics] if path is not None]
