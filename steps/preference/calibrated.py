"""What people's labels say about the judges that rank answers: weights of a jury, and warnings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from steps.errors import InputError
from steps.judging.calibration import load_calibration
from steps.judging.verdict import Judge


def learned_weights(judges: Sequence[Judge], calibration_path: str | None) -> Mapping[str, float]:
    """Return the weight of each judge by its fingerprint.

    Raises:
        InputError: if the file is not there, or knows no jury of exactly these members.
    """
    fingerprints = [judge.fingerprint for judge in judges]
    found = None if calibration_path is None else load_calibration(calibration_path).of_jury(fingerprints)
    if found is None:
        names = ", ".join(judge.name for judge in judges)
        raise InputError(
            f"calibration_path={calibration_path} has no weights for the jury of {names} as they are configured now; "
            "label a sample and run `tunesmith calibrate report`, or set aggregate: mean"
        )
    return found.weights


def agreement_warnings(judges: Mapping[str, str], calibration_path: str | None, min_agreement: float) -> list[str]:
    """Say which judges are not known to agree with people.

    Args:
        judges: Name of each judge by its fingerprint.
        calibration_path: Calibration file; None knows nothing of anyone.
        min_agreement: Least share of pairs that a judge should decide as people do.
    """
    calibration = None if calibration_path is None else load_calibration(calibration_path)
    warnings = []
    for fingerprint, name in sorted(judges.items(), key=lambda one: one[1]):
        known = None if calibration is None else calibration.of_judge(fingerprint)
        if known is None:
            warnings.append(
                f"judge {name} was never compared with people as it is configured: its preferences may be its own; "
                "see `tunesmith calibrate`"
            )
        elif known.agreement < min_agreement:
            warnings.append(
                f"judge {name} agrees with people on {known.describe()}, below min_agreement={min_agreement:g}"
            )
    return warnings
