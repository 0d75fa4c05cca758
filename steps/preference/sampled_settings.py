"""Settings of preferences from samples: who answers, who ranks, and which pairs are made."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from steps.judging.calibration import MIN_AGREEMENT
from steps.judging.judges import PairwiseSettings, RankingJudgeSettings
from steps.preference.comparisons import ComparisonSettings
from steps.preference.pairing import PairingSettings
from steps.preference.sampling import OtherModelSettings, SamplingSettings


class SampledSettings(PairingSettings):
    """How pairs are made from samples of the SFT model, and of others."""

    ranker: str
    """`check:<metric>`: a verifiable metric of `steps.evaluation.metrics` against the row's own answer. `judges`: those
    of `judges`, each answer by itself. `pairwise`: the judge of `pairwise`, two answers at a time, both orders asked.
    The defect score is no ranker: it does not measure which of two answers is better."""
    judges: tuple[RankingJudgeSettings, ...] = ()
    """Needed by ranker `judges`; several are a jury, whose scores are put together on a scale of 0 to 1."""
    aggregate: Literal["mean", "median", "weighted"] = "mean"
    """How the scores of a jury become one. `weighted` takes the weights that were learned from people's labels."""
    quorum: int = Field(default=1, ge=1)
    """Judges of a jury that must have scored an answer; with fewer it stays unscored."""
    pairwise: PairwiseSettings | None = None
    """Needed by ranker `pairwise`."""
    calibration_path: str | None = Field(default=None, min_length=1)
    """Calibration file of `tunesmith calibrate`: what is known of the judges' agreement with people stands in the
    report, with a warning below `min_agreement`, and `weighted` takes its weights from there."""
    min_agreement: float = Field(default=MIN_AGREEMENT, ge=0, le=1)
    """Share of pairs that a judge should decide as people do; a judge below it, or of unknown agreement, is warned
    of."""
    comparisons: ComparisonSettings = ComparisonSettings()
    """With ranker `pairwise`: which answers are compared, and what the outcomes add up to."""
    generation: SamplingSettings = SamplingSettings()
    """Sampling."""
    others: tuple[OtherModelSettings, ...] = ()
    """Other models whose answers stand beside the SFT model's."""
    kinds: tuple[str, ...] | None = None
    """Only prompts of examples of these kinds (`summary`, …); none takes all."""
    max_prompts: int | None = Field(default=500, ge=1)
    """Training prompts that are sampled, a seeded choice; none samples all."""
    reference_as_chosen: bool = False
    """With a check: where no sample reaches `pass_score` but the row's own answer does, that answer is chosen."""
    pass_score: float = Field(default=1.0, gt=0, le=1)
    """Score at which a check counts as passed."""

    @field_validator("ranker")
    @classmethod
    def _is_a_ranker(cls, value: str) -> str:
        if "defect" in value:
            raise ValueError(
                "the defect score tells broken answers from whole ones, not better from worse, and never makes "
                "preferences; use check:<metric>, judges, pairwise, or imported preferences"
            )
        kind, _, metric = value.partition(":")
        if value in {"judges", "pairwise"}:
            return value
        from steps.evaluation.metrics import METRICS

        if kind != "check" or metric not in METRICS:
            raise ValueError(f"not `judges`, `pairwise`, or `check:` with one of the metrics {', '.join(METRICS)}")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> SampledSettings:
        if self.ranker == "judges" and not self.judges:
            raise ValueError("ranker=judges needs judges, e.g. judges: [{type: llm, model: {base_url: …, model: …}}]")
        names = [judge.judge_name for judge in self.judges]
        if len(set(names)) < len(names):
            raise ValueError(f"judges share a name ({', '.join(names)}); give each its own `name`")
        if self.ranker == "pairwise" and self.pairwise is None:
            raise ValueError("ranker=pairwise needs the block pairwise, e.g. pairwise: {type: llm, model: {…}}")
        if self.metric is None and self.reference_as_chosen:
            raise ValueError("reference_as_chosen needs a check as ranker: a judge does not tell what passes")
        if self.metric is None and self.pairing == "right_vs_wrong":
            raise ValueError("pairing=right_vs_wrong needs a check as ranker: a judge does not tell what is right")
        if self.aggregate == "weighted" and self.calibration_path is None:
            raise ValueError("aggregate=weighted needs calibration_path, the file of `tunesmith calibrate report`")
        if self.quorum > max(1, len(self.judges)):
            raise ValueError(f"quorum={self.quorum} is more than the {len(self.judges)} judges there are")
        return self

    @property
    def metric(self) -> str | None:
        """Name of the check's metric; None for judges."""
        return self.ranker.partition(":")[2] or None
