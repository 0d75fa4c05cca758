"""No filter by a judge that nobody compared with people: refused before the run, unless the config insists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from steps.errors import ConfigError
from steps.judging.calibration import Calibration, JudgeCalibration, load_calibration
from steps.judging.jury import Aggregate
from steps.judging.verdict import Judge

_LABEL = (
    "label a sample and write its calibration (`tunesmith calibrate sample`, `label`, `report LABELS --out FILE`), "
    "then set calibration_path"
)


class Trust(NamedTuple):
    """What people's labels say of a stage's judges."""

    agreement: JudgeCalibration | None
    """Of the judge, or of the jury as it is aggregated; None if unknown."""
    members: dict[str, JudgeCalibration | None]
    """Of each judge, by name."""
    weights: dict[str, float] | None
    """Learned weights by name, for `aggregate: weighted`."""
    warnings: list[str]


def check_trust(
    judges: Sequence[Judge],
    *,
    aggregate: Aggregate,
    is_filter: bool,
    calibration_path: str | None,
    min_agreement: float,
    accept_uncalibrated: bool,
) -> Trust:
    """Look the judges up in the calibration, and refuse a filter that cannot be relied upon.

    Args:
        judges: Of the stage; not the defect detector alone, which claims nothing that people could agree with.
        aggregate: Of a jury.
        is_filter: Whether rows are dropped by the scores.
        calibration_path: File that `tunesmith calibrate report` wrote; None knows nothing of anyone.
        min_agreement: Least agreement of a filter.
        accept_uncalibrated: Warn where it would be refused.

    Raises:
        ConfigError: if the filter is refused, or a weighted jury has no weights.
        InputError: if the calibration file cannot be read.
    """
    calibration = load_calibration(calibration_path) if calibration_path is not None else Calibration()
    members = {judge.name: calibration.of_judge(judge.fingerprint) for judge in judges}
    jury = calibration.of_jury(judge.fingerprint for judge in judges) if len(judges) > 1 else None
    if aggregate == "weighted" and len(judges) > 1 and jury is None:
        raise ConfigError(
            f"judge.aggregate=weighted: {calibration_path or 'no calibration_path'} has no weights for the jury "
            f"{', '.join(members)} as it is configured now; {_LABEL}, or set aggregate: median"
        )
    if len(judges) == 1:
        known = next(iter(members.values()))
    else:
        known = None if jury is None else jury.weighted if aggregate == "weighted" else jury.majority
    warnings = _warnings(members, known, aggregate, min_agreement)
    if warnings and is_filter and (known is None or known.agreement < min_agreement):
        if not accept_uncalibrated:
            raise ConfigError(
                f"judge.select drops rows by a score that cannot be relied upon: {warnings[0]}. {_LABEL[0].upper()}"
                f"{_LABEL[1:]}; or leave select out; or set judge.accept_uncalibrated: true to filter all the same"
            )
        warnings[0] += "; rows are dropped by it all the same (accept_uncalibrated)"
    weights = {judge.name: jury.weights[judge.fingerprint] for judge in judges} if jury is not None else None
    silent = [name for name, weight in (weights or {}).items() if weight == 0] if aggregate == "weighted" else []
    if silent:
        warnings.append(f"{', '.join(silent)} weighs 0 in the jury: leave it out and save what it costs")
    return Trust(known, members, weights if aggregate == "weighted" else None, warnings)


def _warnings(
    members: Mapping[str, JudgeCalibration | None],
    known: JudgeCalibration | None,
    aggregate: Aggregate,
    min_agreement: float,
) -> list[str]:
    names = ", ".join(members)
    if known is None and len(members) > 1:
        return [
            f"the jury {names} was never compared with people. Judges that share a bias are worse together than the "
            "best of them alone (on LLMBar, three weak judges by majority agree with people on 0.49 of the pairs, "
            "their best member on 0.70); about 50 labels tell, and weights learned from them (aggregate: weighted) "
            "mend it"
        ]
    if known is None:
        return [f"judge {names} was never compared with people as it is configured now"]
    who = f"the jury {names} ({aggregate})" if len(members) > 1 else f"judge {names}"
    if known.agreement < min_agreement:
        return [f"{who} agrees with people on {known.describe()}, below min_agreement={min_agreement:g}"]
    found = []
    if known.few or known.low < min_agreement:
        found.append(
            f"{who} agrees with people on {known.describe()}; the true value may well be below "
            f"min_agreement={min_agreement:g}: label more"
        )
    best = max((one.agreement for one in members.values() if one is not None), default=0.0)
    if len(members) > 1 and best > known.agreement:
        found.append(f"{who} agrees with people less ({known.agreement:.2f}) than its best member alone ({best:.2f})")
    return found
