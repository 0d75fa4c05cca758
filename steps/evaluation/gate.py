"""The gate: a candidate replaces the champion only when the evidence says that it is better.

Promotion needs both: the whole bootstrap interval of the paired difference lies above `min_effect`, and a sign-flip
test agrees. Simulation of equal models promotes them in at most about 2.5 % of the trials at 95 % confidence.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import pyarrow as pa
from pydantic import Field, field_validator

from steps.evaluation.bootstrap import Interval, Sample, paired_difference, sign_flip_p_value
from steps.evaluation.metrics import METRICS
from steps.evaluation.rows import LOSS, has_loss, metrics_of, mode_of, model_of, paired, sample_of, unjudged_fraction
from steps.settings import Settings

#: Names of the evaluations that the gate knows.
BASELINES = ("base", "base_few_shot")
TRAINED = ("dpo", "sft")
CHAMPION = "champion"

Decision = Literal["promote", "hold", "invalid"]


class GateSettings(Settings):
    """When a candidate is promoted."""

    metric: str = LOSS
    """`loss` (nats per token, lower is better) or one of evaluation.metrics."""
    candidate: Literal["auto", "base", "sft", "dpo"] = "auto"
    """Which model stands for promotion; auto is the one that training ended with."""
    confidence: float = Field(default=0.95, gt=0.5, lt=1.0)
    """Two-sided confidence of every interval."""
    min_effect: float = Field(default=0.0, ge=0.0)
    """Improvement that the whole interval must exceed, in the metric's unit."""
    min_rows: int = Field(default=20, ge=2)
    """Fewer rows with a result for both models decide nothing."""
    n_resamples: int = Field(default=5000, ge=200, le=1_000_000)
    """Resamples of the bootstrap and of the sign-flip test."""
    seed: int = Field(default=0, ge=0)
    """Seed of the resampling."""

    @field_validator("metric")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if name != LOSS and name not in METRICS:
            raise ValueError(f"there is no metric {name!r}; known: {LOSS}, {', '.join(METRICS)}")
        return name


class Verdict(NamedTuple):
    """The decision and its evidence. `difference` is the improvement: positive is better, also for the loss."""

    decision: Decision
    reason: str
    metric: str
    candidate: str
    opponent: str | None = None
    candidate_value: float | None = None
    opponent_value: float | None = None
    difference: Interval | None = None
    p_value: float | None = None
    model_sha256: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the verdict as plain values."""
        plain = self._asdict()
        plain["difference"] = None if self.difference is None else self.difference._asdict()
        plain["n"] = 0 if self.difference is None else self.difference.n
        return plain


def decide(evaluations: Mapping[str, pa.Table], settings: GateSettings, max_unjudged_fraction: float) -> Verdict:
    """Decide whether the candidate is promoted.

    The opponent is the champion; without one, the better of the base model prompted zero-shot and few-shot.

    Args:
        evaluations: By name: `base`, `base_few_shot`, `sft`, `dpo`, `champion`.
        settings: The gate.
        max_unjudged_fraction: Share of rows without a result above which an evaluation is invalid.
    """
    metric, candidate = settings.metric, candidate_of(evaluations, settings)
    if candidate not in evaluations:
        return Verdict("invalid", f"The candidate {candidate} was not evaluated.", metric, candidate)
    sha256 = model_of(evaluations[candidate])
    opponents = _opponents(evaluations, candidate)
    flaws = {name: _flaw(evaluations[name], metric, max_unjudged_fraction) for name in (candidate, *opponents)}
    usable = [name for name in opponents if flaws[name] is None]
    # That few-shot prompts do not fit the context, or have no loss, is no reason to doubt the other baseline.
    fatal = [name for name in (candidate, *opponents) if flaws[name] and not (name == "base_few_shot" and usable)]
    if fatal:
        said = "; ".join(f"{name}: {flaws[name]}" for name in fatal)
        return Verdict("invalid", f"The evidence is not valid. {said}.", metric, candidate, model_sha256=sha256)
    if not usable:
        reason = "There is neither a champion nor a baseline to compare with."
        return Verdict("invalid", reason, metric, candidate, model_sha256=sha256)
    opponent = max(usable, key=lambda name: improvement(metric, sample_of(evaluations[name], metric).ratio))
    verdict = _compare(evaluations[candidate], evaluations[opponent], settings)
    return verdict._replace(candidate=candidate, opponent=opponent, model_sha256=sha256)


def candidate_of(evaluations: Mapping[str, pa.Table], settings: GateSettings) -> str:
    """Return the name of the model that stands for promotion."""
    if settings.candidate != "auto":
        return settings.candidate
    return next((name for name in TRAINED if name in evaluations), "base")


def improvement(metric: str, value: float) -> float:
    """Return the value, with its sign turned if lower is better."""
    return value if metric != LOSS and METRICS[metric].higher_is_better else -value


def difference(a: pa.Table, b: pa.Table, metric: str, settings: GateSettings) -> Interval | None:
    """Return the interval of `a - b` as measured, or None where the two cannot be compared by this metric."""
    if _incomparable(a, b, metric):
        return None
    left, right = paired(a, b, metric)
    if not len(left.numerators):
        return None
    return paired_difference(
        left, right, confidence=settings.confidence, n_resamples=settings.n_resamples, seed=settings.seed
    )


def _opponents(evaluations: Mapping[str, pa.Table], candidate: str) -> list[str]:
    if CHAMPION in evaluations:
        return [CHAMPION]
    return [name for name in BASELINES if name in evaluations and name != candidate]


def _flaw(evaluation: pa.Table, metric: str, max_unjudged_fraction: float) -> str | None:
    """Return what is wrong with an evaluation as evidence."""
    if metric == LOSS and not has_loss(evaluation):
        return "no loss is measured few-shot"
    if metric != LOSS and metric not in metrics_of(evaluation):
        return f"{metric} was not measured; add it to evaluation.metrics"
    unjudged = unjudged_fraction(evaluation, metric)
    if unjudged > max_unjudged_fraction:
        errors = evaluation["loss_error" if metric == LOSS else "error"]
        first = errors.drop_null()[0].as_py()
        return (
            f"{unjudged:.0%} of {evaluation.num_rows} rows have no result, more than "
            f"max_unjudged_fraction={max_unjudged_fraction:g} (first: {first})"
        )
    if not len(sample_of(evaluation, metric).numerators):
        return f"{metric} applies to none of its {evaluation.num_rows} rows"
    return None


def _incomparable(a: pa.Table, b: pa.Table, metric: str) -> str | None:
    if metric != LOSS:
        missing = [metric for table in (a, b) if metric not in metrics_of(table)]
        return f"{metric} was not measured for both" if missing else None
    if not (has_loss(a) and has_loss(b)):
        return "no loss is measured few-shot"
    left, right = paired(a, b, LOSS)
    if (left.denominators != right.denominators).any():
        return "the models split the same text into different tokens, so their losses per token do not compare"
    return None


def _compare(candidate: pa.Table, opponent: pa.Table, settings: GateSettings) -> Verdict:
    metric = settings.metric
    ours, theirs = paired(candidate, opponent, metric)
    n = len(ours.numerators)
    if n < settings.min_rows:
        return Verdict("invalid", f"Only {n} rows have {metric} for both; min_rows={settings.min_rows}.", metric, "")
    incomparable = _incomparable(candidate, opponent, metric)
    if incomparable:
        return Verdict("invalid", f"{incomparable[0].upper()}{incomparable[1:]}; gate by another metric.", metric, "")
    better, worse = (ours, theirs) if improvement(metric, 1.0) > 0 else (theirs, ours)
    gain = paired_difference(
        better, worse, confidence=settings.confidence, n_resamples=settings.n_resamples, seed=settings.seed
    )
    measured = Verdict("hold", "", metric, "", None, ours.ratio, theirs.ratio, gain)
    if model_of(candidate) == model_of(opponent) and mode_of(candidate) == mode_of(opponent):
        return measured._replace(reason="The candidate is identical to its opponent.")
    raised = Sample(worse.numerators + settings.min_effect * worse.denominators, worse.denominators)
    p_value = sign_flip_p_value(better, raised, n_resamples=settings.n_resamples, seed=settings.seed)
    return _judge(measured._replace(p_value=p_value), settings)


def _judge(measured: Verdict, settings: GateSettings) -> Verdict:
    gain, p_value = measured.difference, measured.p_value
    if gain is None or p_value is None:
        raise ValueError("a verdict needs a difference and its p-value")
    said = (
        f"{measured.metric} {measured.opponent_value:.4g} -> {measured.candidate_value:.4g}, improvement "
        f"{gain.mean:+.4g} [{gain.low:+.4g}, {gain.high:+.4g}] on {gain.n} rows at {settings.confidence:.0%} confidence"
    )
    if gain.low <= settings.min_effect:
        return measured._replace(reason=f"{said}: the interval does not lie above {settings.min_effect:g}.")
    if p_value > (1 - settings.confidence) / 2:
        return measured._replace(
            reason=f"{said}, but too few rows differ: a sign-flip test gives p = {p_value:.3f}, more than "
            f"{(1 - settings.confidence) / 2:g}."
        )
    return measured._replace(
        decision="promote", reason=f"{said}: the interval lies above {settings.min_effect:g} (p = {p_value:.4f})."
    )
