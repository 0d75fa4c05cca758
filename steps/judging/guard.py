"""An LLM judge may filter rows only where it was found to agree with people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from steps.errors import ConfigError
from steps.judging.calibration import Calibration, JudgeCalibration
from steps.judging.jury import Aggregate, weights_in
from steps.judging.verdict import Judge

#: Kinds of judges that claim nothing which people would have to confirm.
EXEMPT = frozenset(("defect",))

HOW = (
    "label a sample (`tunesmith calibrate sample`, `label`), write calibration.json with `tunesmith calibrate report` "
    "and name it in calibration_path; or set accept_uncalibrated: true to use the scores all the same"
)


class Trust(NamedTuple):
    """What is known of a stage's judges."""

    weights: list[float] | None
    """Learned weights, in the order of the judges; None if there are none."""
    known: list[JudgeCalibration | None]
    """Calibration of each judge by itself."""
    jury: JudgeCalibration | None
    """Calibration of the jury, in the way that the scores are put together; None for a single judge."""
    problem: str | None
    """Why the judges must not filter; None if they may."""
    warnings: list[str]


def trust(
    judges: Sequence[Judge], kinds: Sequence[str], aggregate: Aggregate, calibration: Calibration | None, least: float
) -> Trust:
    """Hold the judges against what people's labels said of them.

    Args:
        judges: Of the stage.
        kinds: The `type` of each.
        aggregate: How their scores are put together.
        calibration: None: nobody labelled anything.
        least: Agreement that is needed.

    Raises:
        ConfigError: if the weights that `aggregate=weighted` needs were never learned.
    """
    fingerprints = [judge.fingerprint for judge in judges]
    known = [calibration.of_judge(one) if calibration else None for one in fingerprints]
    if len(judges) == 1:
        problem = None if kinds[0] in EXEMPT else _problem(f"judge {judges[0].name}", known[0], least)
        return Trust(None, known, None, problem, _few(judges[0].name, known[0]))
    learned = calibration.of_jury(fingerprints) if calibration else None
    if aggregate == "weighted" and learned is None:
        raise ConfigError(
            "curation.judge.aggregate=weighted needs weights learned from people's labels for exactly these judges: "
            f"{', '.join(judge.name for judge in judges)}; {HOW.partition('; or')[0]}, or choose median"
        )
    jury = None
    if learned is not None:
        jury = learned.weighted if aggregate == "weighted" else learned.majority
    warnings = _few("the jury", jury)
    if learned is None:
        warnings.append(
            f"the jury of {', '.join(judge.name for judge in judges)} is uncalibrated: judges that share a bias are "
            "worse together than the best of them alone (LLMBar: 0.49 against 0.70); about 50 labels tell, and give "
            "weights"
        )
    elif aggregate != "weighted" and jury is not None and jury.agreement < learned.best.agreement:
        warnings.append(
            f"the best judge alone agrees with people more often ({learned.best.agreement:.2f}) than the jury "
            f"({jury.agreement:.2f}); use it alone, or aggregate: weighted ({learned.weighted.agreement:.2f})"
        )
    problem = None if EXEMPT.issuperset(kinds) else _problem("the jury", jury, least)
    weights = weights_in(learned.weights, fingerprints) if learned else None
    return Trust(weights, known, jury, problem, warnings)


def _problem(who: str, found: JudgeCalibration | None, least: float) -> str | None:
    if found is None:
        return f"{who} was never compared with people's labels, yet its scores are to select rows; {HOW}"
    if found.agreement < least:
        return (
            f"{who} agrees with people on {found.describe()}, below min_agreement={least:g}, and must not select rows: "
            "improve its rubric or take another judge and calibrate again, lower min_agreement, or set "
            "accept_uncalibrated: true"
        )
    return None


def _few(who: str, found: JudgeCalibration | None) -> list[str]:
    return [f"{who} agrees with people on {found.describe()}"] if found is not None and found.few else []
