"""The calibration file: how far each judge agrees with people, and what each weighs in a jury.

`tunesmith calibrate report` writes it, a stage that filters by scores reads it. An entry holds for one fingerprint, so
a changed prompt, model or scale has no calibration until people's labels are compared with it again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, model_validator

from steps.errors import InputError
from steps.settings import Settings

#: Share of the pairs with a winner that a judge has to decide as people do. People agree with each other on 0.81 of the
#: pairs that neither calls a tie (Zheng et al. 2023, table 5, setup S2): a judge below says less than another person.
MIN_AGREEMENT = 0.8

#: Below this number of labelled items an agreement of 0.8 has a 95 % interval wider than ±0.11 (Wilson 1927).
FEW_LABELS = 50

Task = Literal["pairwise", "pointwise"]


class JudgeCalibration(Settings):
    """How far one judge, or one jury, agrees with the majority of people."""

    judge: str
    """Its name in the config, for people to read; the key is the fingerprint."""
    task: Task
    """What was labelled: pairs of answers, or single answers."""
    agreement: float = Field(ge=0, le=1)
    """Share of the pairs with a winner by the majority that it decides alike, a tie of its own counting half; of
    pointwise labels, of the pairs of answers that people rank apart."""
    low: float = Field(ge=0, le=1)
    """Lower end of the 95 % interval of `agreement`."""
    high: float = Field(ge=0, le=1)
    """Upper end of the 95 % interval of `agreement`."""
    n: int = Field(ge=1)
    """Labelled items that the judge gave a score."""
    kappa: float | None = Field(ge=-1, le=1)
    """Cohen's kappa with the majority: agreement beyond chance; null where chance alone agrees always."""
    ceiling: float | None = Field(default=None, ge=0, le=1)
    """How often a person agrees with the majority of the others; null with fewer than two annotators."""

    @property
    def few(self) -> bool:
        """Whether it rests on fewer than `FEW_LABELS` labels."""
        return self.n < FEW_LABELS

    def describe(self) -> str:
        """Say the agreement in words, e.g. `0.84 of 100 pairs (95 % interval 0.76 to 0.90)`."""
        unit = "pairs" if self.task == "pairwise" else "answers"
        few = f"; fewer than {FEW_LABELS} labels, so hardly known" if self.few else ""
        return f"{self.agreement:.2f} of {self.n} {unit} (95 % interval {self.low:.2f} to {self.high:.2f}{few})"


class JuryCalibration(Settings):
    """Weights of a jury's members, learned from labels, and how far that jury agrees with labels it has not seen."""

    weights: dict[str, float]
    """Fingerprint of the member -> its weight, 0 or more; they sum to 1."""
    members: dict[str, str]
    """Fingerprint of the member -> its name."""
    weighted: JudgeCalibration
    """By cross-validation: each item is decided with weights from the other items' labels."""
    majority: JudgeCalibration
    """The same members, one vote each."""
    best: JudgeCalibration
    """The best member, chosen by the other items' labels in the same way."""

    @model_validator(mode="after")
    def _weights_are_usable(self) -> JuryCalibration:
        if not self.weights or set(self.weights) != set(self.members):
            raise ValueError("weights and members must name the same fingerprints, at least one")
        if min(self.weights.values()) < 0 or not sum(self.weights.values()) > 0:
            raise ValueError("weights must be 0 or more, and one of them above 0")
        return self


class Calibration(Settings):
    """All that a set of labels says about judges."""

    version: Literal[1] = 1
    """Of the file's format."""
    labels_sha256: str = ""
    """SHA-256 over the label files, in the order given."""
    seed: int = 7
    """Of the bootstrap and the folds."""
    judges: dict[str, JudgeCalibration] = Field(default_factory=dict)
    """By judge fingerprint."""
    juries: dict[str, JuryCalibration] = Field(default_factory=dict)
    """By `jury_fingerprint` of the members."""

    def of_judge(self, fingerprint: str) -> JudgeCalibration | None:
        """Return what is known of a judge; None if it was never compared with labels."""
        return self.judges.get(fingerprint)

    def of_jury(self, fingerprints: Iterable[str]) -> JuryCalibration | None:
        """Return the learned weights of exactly these members, in any order; None if they were never learned."""
        return self.juries.get(jury_fingerprint(fingerprints))


def jury_fingerprint(fingerprints: Iterable[str]) -> str:
    """Return the SHA-256 of a set of members.

    >>> jury_fingerprint(["a", "b"]) == jury_fingerprint(["b", "a"])
    True
    """
    return hashlib.sha256("\n".join(sorted(set(fingerprints))).encode()).hexdigest()


def load_calibration(path: str | Path) -> Calibration:
    """Read a calibration file.

    Raises:
        InputError: if it is not there, or is not a calibration.
    """
    path = Path(path)
    try:
        return Calibration.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise InputError(
            f"calibration_path={path} does not exist; label a sample (`tunesmith calibrate sample`, `label`) and write "
            "it with `tunesmith calibrate report LABELS --out FILE`"
        ) from None
    except OSError as error:
        raise InputError(f"calibration_path={path} cannot be read: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise InputError(
            f"calibration_path={path} is not a calibration of version 1: {where}: {first['msg']}; write it again with "
            "`tunesmith calibrate report LABELS --out FILE`"
        ) from None


def write_calibration(calibration: Calibration, path: str | Path) -> None:
    """Write a calibration as JSON with sorted keys: the same labels and verdicts give the same bytes."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = json.dumps(calibration.model_dump(mode="json"), indent=1, sort_keys=True, ensure_ascii=False)
    beside = path.with_name(path.name + ".part")
    beside.write_text(content + "\n", encoding="utf-8")
    beside.replace(path)
