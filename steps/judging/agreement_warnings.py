"""What a reader must know before believing the figures of an agreement report."""

from __future__ import annotations

from typing import Any

from steps.judging.calibration import FEW_LABELS
from steps.judging.saved_verdicts import DEFECT

#: Above this share of labelled items without a score, the agreement is one of the easy items only.
_MANY_UNSCORED = 0.1


def warnings_of(report: dict[str, Any], min_labels: int) -> list[str]:
    """Return what a reader must know before believing the figures."""
    found = []
    if report["n_items"] < FEW_LABELS:
        found.append(
            f"only {report['n_items']} items are labelled: an agreement of 0.8 is known to ±0.11 with {FEW_LABELS} and "
            "far worse below; label more before a judge filters by this"
        )
    if report["people"]["ceiling"]["value"] is None:
        found.append("no two people labelled the same items, so how far people themselves agree is not known")
    if report["n_without_majority"]:
        found.append(
            f"{report['n_without_majority']} items have no majority and count for no judge; ask a third person"
        )
    if report["n_items"] and report["n_skipped"] > _MANY_UNSCORED * report["n_labels"]:
        found.append(f"{report['n_skipped']} labels are `skip`: the figures hold for the rows that people could tell")
    for judge in report["judges"]:
        found += _judge_warnings(judge, report)
    return found + _jury_warnings(report, min_labels)


def _judge_warnings(judge: dict[str, Any], report: dict[str, Any]) -> list[str]:
    found, name, alike = [], judge["judge"], judge["agreement"]
    if judge["n_unscored"] > _MANY_UNSCORED * report["n_items"]:
        found.append(f"{name} has no score for {judge['n_unscored']} of {report['n_items']} labelled items")
    if report["task"] == "pairwise" and not judge["both_orders"]:
        found.append(f"{name} was asked in one order only, so its position bias is not known and not evened out")
    if alike["low"] is not None and alike["low"] < report["min_agreement"] <= alike["value"]:
        found.append(f"{name} passes, yet its interval begins at {alike['low']:.2f}, below {report['min_agreement']:g}")
    if name in DEFECT:
        found.append(f"{name} finds broken answers; its agreement is no measure of quality, and it ranks nothing")
    return found


def _jury_warnings(report: dict[str, Any], min_labels: int) -> list[str]:
    jury = report["jury"]
    if jury is None:
        return []
    if not jury["learned"]:
        return [
            f"{jury['n']} labels are too few to learn the jury's weights (min_labels={min_labels}); "
            "without weights a majority of weak judges can be worse than its best member (0.49 against 0.70 on LLMBar)"
        ]
    ways = {way: jury[way]["value"] for way in ("weighted", "majority", "best")}
    if None in ways.values():
        return []
    if ways["majority"] < ways["best"]:
        return [
            f"a majority of these judges ({ways['majority']:.2f}) agrees with people less than its best member "
            f"({ways['best']:.2f}); use the learned weights ({ways['weighted']:.2f}) or that member alone"
        ]
    return []
