"""How far judges agree with people: the report behind `tunesmith calibrate report`, and the calibration out of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from steps.errors import InputError
from steps.judging.agreement_figures import AgreementSettings, View, column_of, judge_figures, scores_of, view_of
from steps.judging.agreement_warnings import warnings_of
from steps.judging.bias import position_bias
from steps.judging.calibration import Calibration, JudgeCalibration, JuryCalibration, jury_fingerprint
from steps.judging.coefficients import Estimate, wilson
from steps.judging.labels import Label
from steps.judging.ratings import agreement_of, people_report
from steps.judging.saved_verdicts import Judged, refuse_defect
from steps.judging.weights import learn_score_weights, learn_weights

Floats = NDArray[np.float64]


class Agreement(NamedTuple):
    """The report, of plain values, and what a stage needs of it."""

    report: dict[str, Any]
    calibration: Calibration


def agreement(
    labels: Sequence[Label], judges: Sequence[Judged], settings: AgreementSettings, labels_sha256: str = ""
) -> Agreement:
    """Compare judges with the labels of people.

    Args:
        labels: All of pairs, or all of single answers.
        judges: With their scores; only labelled items are looked at.
        settings: Of the report.
        labels_sha256: Of the label files, for the calibration.

    Raises:
        InputError: if the labels are all skipped, no judge has scored one of the items, or the detector of broken
            answers is asked for preferences.
    """
    view = view_of(labels, None, settings)
    if view.pairwise:
        refuse_defect(judges)
    known = [judge for judge in judges if set(scores_of(judge, view.pairwise)) & set(view.ratings.items)]
    if judges and not known:
        raise InputError(
            f"no verdict is about one of the {len(view.ratings.items)} labelled items, though {len(judges)} judges "
            "have verdicts; labels and verdicts must be of the same run"
            + ("" if not view.pairwise else ", and of pairs they need the key order")
        )
    found = [judge_figures(judge, view, labels, settings) for judge in known]
    jury, learned = _jury(known, view, settings)
    report: dict[str, Any] = {
        "task": "pairwise" if view.pairwise else "pointwise",
        "n_items": len(view.ratings.items),
        "n_labels": sum(label.value is not None for label in labels),
        "n_skipped": sum(label.value is None for label in labels),
        "n_without_majority": int(np.isnan(view.people).sum()),
        "n_ties": int((view.people == 0.5).sum()) if view.pairwise else 0,
        "min_agreement": settings.min_agreement,
        "people": {**people_report(view.ratings, view.pairwise, view.how), **_people_position(labels, view)},
        "judges": found,
        "jury": jury,
    }
    report["warnings"] = warnings_of(report, settings.min_labels)
    calibration = Calibration(
        labels_sha256=labels_sha256,
        seed=settings.seed,
        judges={one["fingerprint"]: _entry(one, report) for one in found if one["agreement"]["value"] is not None},
        juries={} if learned is None else {jury_fingerprint(learned.weights): learned},
    )
    return Agreement(report, calibration)


def _people_position(labels: Sequence[Label], view: View) -> dict[str, Any]:
    """Return people's own position bias, over each annotator's looks at each pair."""
    if not view.pairwise:
        return {}
    looks: dict[tuple[str, str], dict[str, float]] = {}
    for label in labels:
        if label.value is not None and label.order is not None:
            looks.setdefault((label.annotator, label.item_id), {})[label.order] = label.value
    ab, ba = (np.array([look.get(order, np.nan) for look in looks.values()]) for order in ("ab", "ba"))
    return {"position": position_bias(ab, ba)}


def _jury(
    judges: Sequence[Judged], view: View, settings: AgreementSettings
) -> tuple[dict[str, Any] | None, JuryCalibration | None]:
    """Learn weights where there are two judges and enough labels; else say what is missing."""
    ranking = [judge for judge in judges if not judge.is_defect]
    if len(ranking) < 2:
        return None, None
    members = np.stack([column_of(scores_of(judge, view.pairwise), view.ratings.items) for judge in ranking], axis=1)
    used = ~np.isnan(view.people) & (~np.isnan(members)).any(1)
    if view.pairwise:
        used &= view.people != 0.5
    if used.sum() < settings.min_labels:
        return {"learned": False, "n": int(used.sum()), "min_labels": settings.min_labels}, None
    learn = learn_weights if view.pairwise else learn_score_weights
    learned = learn(view.people[used], members[used], settings.seed, settings.min_labels)
    ways: dict[str, Estimate] = {}
    for way in ("weighted", "majority", "best"):
        found: Floats = getattr(learned, way)
        ways[way] = (
            wilson(float(found.sum()), len(found))
            if view.pairwise
            else agreement_of(view.people[used], found, False, view.how)
        )
    weights = {judge.fingerprint: float(weight) for judge, weight in zip(ranking, learned.weights, strict=True)}
    names = {judge.fingerprint: judge.name for judge in ranking}
    report = {
        "learned": True,
        "n": int(used.sum()),
        "weights": [{"judge": names[key], "fingerprint": key, "weight": weight} for key, weight in weights.items()],
        **{way: estimate._asdict() for way, estimate in ways.items()},
    }
    entries = {way: _estimate_entry(way, estimate, view) for way, estimate in ways.items()}
    return report, JuryCalibration(weights=weights, members=names, **entries)


def _estimate_entry(name: str, found: Estimate, view: View) -> JudgeCalibration:
    task: Any = "pairwise" if view.pairwise else "pointwise"
    value, low, high = (end if each is None else each for each, end in zip(found[:3], (0.0, 0.0, 1.0), strict=True))
    return JudgeCalibration(judge=name, task=task, agreement=value, low=low, high=high, n=found.n, kappa=None)


def _entry(judge: dict[str, Any], report: dict[str, Any]) -> JudgeCalibration:
    alike = judge["agreement"]
    return JudgeCalibration(
        judge=judge["judge"],
        task=report["task"],
        agreement=alike["value"],
        low=0.0 if alike["low"] is None else alike["low"],
        high=1.0 if alike["high"] is None else alike["high"],
        n=alike["n"],
        kappa=judge["kappa"]["value"],
        ceiling=report["people"]["ceiling"]["value"],
    )
