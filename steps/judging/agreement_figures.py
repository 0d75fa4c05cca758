"""The figures of one judge beside the labels: agreement, coefficients, confusion, position and length, criteria."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from steps.errors import InputError
from steps.judging.bias import length_bias, position_bias, score_length_bias
from steps.judging.calibration import FEW_LABELS, MIN_AGREEMENT
from steps.judging.coefficients import Estimate, Resampling, cohen_kappa, kendall_tau, spearman, wilson
from steps.judging.labels import Label
from steps.judging.ratings import Ratings, agreement_of, majority_of, ratings_of
from steps.judging.saved_verdicts import Judged
from steps.settings import Settings

Floats = NDArray[np.float64]

#: Levels of the longest scale that is compared level by level: 0 to 10.
_MAX_LEVELS = 11
_SIDES = {1.0: "first", 0.5: "tie", 0.0: "second"}


class AgreementSettings(Settings):
    """What is asked of a judge, and how sure the figures have to be."""

    min_agreement: float = Field(default=MIN_AGREEMENT, ge=0, le=1)
    """Share of pairs with a winner that a judge has to decide as people do. The point estimate counts; the interval
    stands beside it."""
    min_labels: int = Field(default=FEW_LABELS, ge=2)
    """Labelled pairs (or answers) below which a jury's weights are not learned."""
    threshold: float | None = None
    """Score from which on the judge keeps an answer; none leaves the agreement at a threshold out."""
    label_threshold: float | None = None
    """Label from which on people keep an answer; none is `threshold` on the same scale, and `yes` of yes-no."""
    n_resamples: int = Field(default=2000, ge=100, le=100_000)
    """Bootstrap resamples of each interval."""
    seed: int = Field(default=7, ge=0)
    """Of resamples and folds."""


class View(NamedTuple):
    """The labelled items of one question, the whole or a criterion, in one order."""

    ratings: Ratings
    people: Floats
    pairwise: bool
    lengths: Floats
    how: Resampling


def view_of(labels: Sequence[Label], criterion: str | None, settings: AgreementSettings) -> View:
    """Return the labelled items, of the whole or of one criterion.

    Raises:
        InputError: if everything was skipped.
    """
    ratings = ratings_of(labels, criterion)
    if not ratings.items:
        raise InputError("every label is `skip`, so there is nothing to compare with; label again, or other rows")
    texts = {label.item_id: label.texts for label in labels}
    lengths = np.array([[len(text) for text in texts[item]] for item in ratings.items], dtype=np.float64)
    pairwise = lengths.shape[1] == 2
    people = majority_of(ratings.values, ratings.nominal)
    return View(ratings, people, pairwise, lengths, Resampling(settings.seed, settings.n_resamples))


def scores_of(judge: Judged, pairwise: bool) -> dict[str, float]:
    """Return the judge's say by item: P(first is better), or its scores of single answers."""
    return judge.preferences() if pairwise else judge.scores


def column_of(scores: dict[str, float], items: Sequence[str]) -> Floats:
    """Return the scores in the order of the items, NaN where there is none."""
    return np.array([scores.get(item, np.nan) for item in items], dtype=np.float64)


def judge_figures(judge: Judged, view: View, labels: Sequence[Label], settings: AgreementSettings) -> dict[str, Any]:
    """Return all that the labels say of one judge, as plain values."""
    scores = column_of(scores_of(judge, view.pairwise), view.ratings.items)
    alike = agreement_of(view.people, scores, view.pairwise, view.how)
    specific = _pair_figures(judge, scores, view) if view.pairwise else _answer_figures(scores, view, settings)
    return {
        "judge": judge.name,
        "fingerprint": judge.fingerprint,
        "n_scored": int((~np.isnan(scores)).sum()),
        "n_unscored": int(np.isnan(scores).sum()),
        "agreement": alike._asdict(),
        "passes": alike.value is not None and alike.value >= settings.min_agreement,
        **specific,
        "criteria": _criteria(judge, labels, settings),
    }


def _pair_figures(judge: Judged, preference: Floats, view: View) -> dict[str, Any]:
    sides = (1 + np.sign(np.round(preference - 0.5, 9))) / 2
    both = ~(np.isnan(sides) | np.isnan(view.people))
    decided = both & (sides != 0.5) & (view.people != 0.5)
    ab, ba = (column_of(side, view.ratings.items) for side in (judge.ab, judge.ba))
    return {
        "exact": wilson(int((sides == view.people)[both].sum()), int(both.sum()))._asdict(),
        "where_both_decide": wilson(int((sides == view.people)[decided].sum()), int(decided.sum()))._asdict(),
        "kappa": cohen_kappa(view.people, sides, view.how)._asdict(),
        "kappa_with_annotators": _with_annotators(sides, view),
        "confusion": _confusion(view.people, sides, _SIDES),
        "both_orders": bool((~np.isnan(ab) & ~np.isnan(ba)).any()),
        "position": position_bias(ab, ba),
        "length": length_bias(preference, view.people, view.lengths, view.how),
    }


def _answer_figures(scores: Floats, view: View, settings: AgreementSettings) -> dict[str, Any]:
    both = ~(np.isnan(scores) | np.isnan(view.people))
    same_scale = _on_one_scale(view.people[both], scores[both])
    figures: dict[str, Any] = {
        "spearman": spearman(view.people, scores, view.how)._asdict(),
        "kendall": kendall_tau(view.people, scores, view.how)._asdict(),
        "at_threshold": _at_threshold(scores, view, settings),
        "length": score_length_bias(scores, view.people, view.lengths[:, 0], view.how),
    }
    if same_scale:
        rounded = np.round(view.people)
        weights: Any = None if view.ratings.nominal else "quadratic"
        figures["kappa"] = cohen_kappa(rounded, scores, view.how, weights)._asdict()
        figures["exact"] = wilson(int((rounded == scores)[both].sum()), int(both.sum()))._asdict()
        figures["within_one"] = wilson(int((np.abs(view.people - scores) <= 1)[both].sum()), int(both.sum()))._asdict()
        levels = sorted({*rounded[both].tolist(), *scores[both].tolist()})
        figures["confusion"] = _confusion(rounded, scores, {level: f"{level:g}" for level in levels})
    elif figures["at_threshold"] is not None:
        figures["kappa"] = figures["at_threshold"]["kappa"]
    else:
        figures["kappa"] = Estimate(None, None, None, int(both.sum()))._asdict()
    return figures


def _on_one_scale(people: Floats, judge: Floats) -> bool:
    """Whether people and judge used the same few whole numbers, so that they can be compared level by level."""
    used = set(people.round().tolist()) | set(judge.tolist())
    return (
        bool(set(people.tolist()) & set(judge.tolist())) and len(used) <= _MAX_LEVELS and all(x % 1 == 0 for x in used)
    )


def _at_threshold(scores: Floats, view: View, settings: AgreementSettings) -> dict[str, Any] | None:
    """Return how far judge and people agree on what is kept; None without a threshold."""
    if settings.threshold is None:
        return None
    default = 0.5 if view.ratings.nominal else settings.threshold
    bound = default if settings.label_threshold is None else settings.label_threshold
    both = ~(np.isnan(scores) | np.isnan(view.people))
    judge, people = scores[both] >= settings.threshold, view.people[both] >= bound
    kappa = cohen_kappa(people.astype(np.float64), judge.astype(np.float64), view.how)
    return {
        "threshold": settings.threshold,
        "label_threshold": bound,
        "same": wilson(int((judge == people).sum()), len(judge))._asdict(),
        "kappa": kappa._asdict(),
        "precision": wilson(int((judge & people).sum()), int(judge.sum()))._asdict(),
        "recall": wilson(int((judge & people).sum()), int(people.sum()))._asdict(),
        "kept_by_judge": int(judge.sum()),
        "kept_by_people": int(people.sum()),
    }


def _with_annotators(sides: Floats, view: View) -> list[dict[str, Any]]:
    once = Resampling(n_resamples=0)
    found = zip(view.ratings.annotators, view.ratings.values.T, strict=True)
    kappas = ((name, cohen_kappa(own, sides, once)) for name, own in found)
    return [{"annotator": name, "n": kappa.n, "kappa": kappa.value} for name, kappa in kappas]


def _confusion(people: Floats, judge: Floats, names: dict[float, str]) -> dict[str, dict[str, int]]:
    """Return people's value -> judge's value -> count."""
    return {
        said: {given: int(((people == own) & (judge == other)).sum()) for other, given in names.items()}
        for own, said in names.items()
    }


def _criteria(judge: Judged, labels: Sequence[Label], settings: AgreementSettings) -> list[dict[str, Any]]:
    """Return the agreement on each criterion that both people and the judge have values of."""
    found = []
    for criterion in sorted({name for label in labels for name in label.criteria} & set(judge.criteria)):
        view = view_of(labels, criterion, settings)
        scores = column_of(judge.criteria[criterion], view.ratings.items)
        alike = agreement_of(view.people, scores, view.pairwise, view.how)
        rank = spearman(view.people, scores, view.how)
        found.append({"criterion": criterion, "agreement": alike._asdict(), "spearman": rank._asdict()})
    return found
