"""The defect detector behind the interface of a judge. It ranks nothing: see `defect_score`."""

from __future__ import annotations

from typing import Literal

from steps.judging.defect_score import JUDGE, DefectSettings
from steps.judging.judge_settings import BaseJudgeSettings


class DefectJudgeSettings(DefectSettings, BaseJudgeSettings):
    """The embedded detector of broken answers: 1 − P(defect) in [0, 1], no measure of quality."""

    type: Literal["defect"]

    @property
    def default_name(self) -> str:
        """One detector is like another."""
        return JUDGE

    @property
    def scale_bounds(self) -> tuple[float, float]:
        """A probability."""
        return 0.0, 1.0
