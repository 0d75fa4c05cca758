"""What the judge stage reports of itself: judges, scores, selection, agreement within the jury, money."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from steps.judging.calibration import JudgeCalibration
from steps.judging.families import same_family
from steps.judging.jury import Combined, default_quorum, member_agreement, votes_of
from steps.judging.selection import Selected
from steps.judging.verdict import Judge, Verdict
from steps.llm.usage import usage_of
from steps.tables import take_rows

if TYPE_CHECKING:
    from steps.judging.guard import Trust
    from steps.judging.judging_settings import JudgingSettings

#: Rows shown in the report at each place, and characters of each.
_SHOWN, _EXCERPT = 10, 400
_STEPS = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
#: Bars of a distribution of many different scores; with at most this many different ones each has its own.
_BARS = 20
#: Share of one and the same score above which a judge hardly tells rows apart.
_SAME = 0.95


class Outcome(NamedTuple):
    """What judging made, for the report."""

    scored: pa.Table
    chosen: Selected | None
    judges: Sequence[Judge]
    verdicts_by_judge: Mapping[str, Sequence[Verdict]]
    combined: Sequence[Combined]
    verdicts: pa.Table
    at: npt.NDArray[np.int64]
    """Positions of the rows that were judged."""


def report_of(
    outcome: Outcome, settings: JudgingSettings, trust: Trust, capabilities: Mapping[str, Mapping[str, str | bool]]
) -> dict[str, Any]:
    """Return plain values: who judged, what came of it, what it cost, and what to look at."""
    scored = outcome.scored
    scores = pc.fill_null(scored["score"], float("nan")).to_numpy()
    costs = scored["cost_usd"].drop_null()
    judges = [_judge(i, outcome, settings, trust) for i in range(len(outcome.judges))]
    is_jury = len(judges) > 1
    votes = votes_of(outcome.verdicts_by_judge, {judge.name: judge.scale for judge in outcome.judges})
    return {
        "judges": judges,
        "jury": _jury(outcome, settings, trust, votes) if is_jury else None,
        "scale": list(settings.scale),
        **_summary(scores),
        "unscored": _counts(scored["unscored_reason"]),
        "selection": _selection(outcome, settings, scores),
        "lowest": _lowest(scored, scores),
        "cost_usd": float(pc.sum(costs).as_py()) if len(costs) else None,
        "usage": usage_of(outcome.verdicts, capabilities),
        "detector": next((judge["about"] for judge in judges if judge["type"] == "defect"), None) or None,
        "warnings": [*trust.warnings, *_families(scored, settings), *_odd(judges), *_ties(outcome, settings)],
    }


def _judge(i: int, outcome: Outcome, settings: JudgingSettings, trust: Trust) -> dict[str, Any]:
    judge, verdicts = outcome.judges[i], outcome.verdicts_by_judge[outcome.judges[i].name]
    known = trust.members.get(judge.name)
    scores = np.array([np.nan if one.score is None else one.score for one in verdicts], np.float64)
    first = verdicts[0] if verdicts else None
    return {
        "name": judge.name,
        "type": settings.judges[i].type,
        "fingerprint": judge.fingerprint,
        "scale": list(judge.scale),
        "prompt_version": first.prompt_version if first else None,
        "prompt_sha256": first.prompt_sha256 if first else None,
        "weight": (trust.weights or {}).get(judge.name),
        "agreement": _agreement(known),
        **_summary(scores),
        "unscored": _counts(pa.chunked_array([pa.array([one.unscored_reason for one in verdicts], pa.string())])),
        "about": judge.report,
    }


def _agreement(known: JudgeCalibration | None) -> dict[str, Any] | None:
    return None if known is None else known.model_dump(mode="json")


def _jury(outcome: Outcome, settings: JudgingSettings, trust: Trust, votes: npt.NDArray[np.float64]) -> dict[str, Any]:
    apart = [(one.disagreement, i) for i, one in enumerate(outcome.combined) if one.disagreement is not None]
    most = [entry for entry in sorted(apart, key=lambda entry: (-entry[0], entry[1]))[:_SHOWN] if entry[0] > 0]
    rows = _shown(outcome.scored, [int(outcome.at[i]) for _, i in most])
    return {
        "aggregate": settings.aggregate,
        "quorum": settings.quorum or default_quorum(len(outcome.judges)),
        "pass_level": settings.pass_level,
        "weights": trust.weights,
        "agreement": _agreement(trust.agreement),
        "members": member_agreement(list(outcome.verdicts_by_judge), votes, settings.pass_level),
        "mean_disagreement": float(np.mean([value for value, _ in apart])) if apart else None,
        "most_disagreement": [
            {**row, "disagreement": value, "votes": outcome.combined[i].votes, "detail": outcome.combined[i].detail}
            for row, (value, i) in zip(rows, most, strict=True)
        ],
    }


def _summary(scores: npt.NDArray[np.float64]) -> dict[str, Any]:
    given = scores[~np.isnan(scores)]
    quantiles = np.quantile(given, _STEPS).tolist() if len(given) else []
    return {
        "n": len(scores),
        "n_scored": len(given),
        "mean_score": float(given.mean()) if len(given) else None,
        "quantiles": {f"{q:g}": value for q, value in zip(_STEPS, quantiles, strict=False)},
        "distribution": _distribution(given),
    }


def _distribution(given: npt.NDArray[np.float64]) -> list[dict[str, Any]]:
    """Count the scores: each by itself where few are different, else in bars of equal width."""
    if not len(given):
        return []
    if given.min() == given.max():
        return [{"low": float(given[0]), "high": float(given[0]), "n": len(given)}]
    # A million scores of a detector are all different; the first thousands tell.
    if len(np.unique(given[:5000])) <= _BARS and len(levels := np.unique(given)) <= _BARS:
        return [{"low": level, "high": level, "n": int((given == level).sum())} for level in levels.tolist()]
    counts, edges = np.histogram(given, bins=_BARS)
    return [
        {"low": low, "high": high, "n": n}
        for n, low, high in zip(counts.tolist(), edges[:-1].tolist(), edges[1:].tolist(), strict=True)
    ]


def _counts(column: pa.ChunkedArray) -> dict[str, int]:
    found = {entry["values"]: entry["counts"] for entry in column.drop_null().value_counts().to_pylist()}
    return dict(sorted(found.items(), key=lambda entry: (-entry[1], entry[0])))


def _selection(outcome: Outcome, settings: JudgingSettings, scores: npt.NDArray[np.float64]) -> dict[str, Any] | None:
    """Return the funnel of the selection, overall and by source and kind, and the rows on both sides of the border."""
    chosen, rule = outcome.chosen, settings.select
    if chosen is None or rule is None:
        return None
    unscored = np.isnan(scores)
    distance = scores - chosen.border
    over = np.flatnonzero(chosen.kept & ~unscored)
    under = np.flatnonzero(~chosen.kept)
    nearest = [part[np.argsort(np.abs(distance[part]), kind="stable")[:_SHOWN]] for part in (over, under)]
    return {
        "rule": rule.describe(),
        "is_override": settings.accept_uncalibrated,
        "groups": [group._asdict() for group in chosen.groups],
        "total": {
            "n_in": len(scores),
            "n_unscored": int(unscored.sum()),
            "n_above": len(over),
            "n_below": len(under),
            "n_kept": int(chosen.kept.sum()),
        },
        "by": [entry for key in ("source", "kind") for entry in _funnel(outcome.scored, key, chosen.kept, unscored)],
        "above": _shown(outcome.scored, nearest[0].tolist()),
        "below": _shown(outcome.scored, nearest[1].tolist()),
    }


def _funnel(
    scored: pa.Table, key: str, kept: npt.NDArray[np.bool_], unscored: npt.NDArray[np.bool_]
) -> list[dict[str, Any]]:
    flags = {"n_unscored": unscored, "n_above": kept & ~unscored, "n_below": ~kept, "n_kept": kept}
    rows = pa.table({"name": scored[key], **{name: pa.array(flag).cast(pa.int64()) for name, flag in flags.items()}})
    sums = rows.group_by("name", use_threads=False).aggregate([([], "count_all"), *((name, "sum") for name in flags)])
    entries = sorted(sums.to_pylist(), key=lambda entry: str(entry["name"]))
    return [
        {"by": key, "name": entry["name"], "n_in": entry["count_all"], **{name: entry[f"{name}_sum"] for name in flags}}
        for entry in entries
    ]


def _lowest(scored: pa.Table, scores: npt.NDArray[np.float64]) -> list[dict[str, Any]]:
    """Return the lowest scores, in order."""
    given = np.flatnonzero(~np.isnan(scores))
    if len(given) > _SHOWN:
        border = np.partition(scores[given], _SHOWN - 1)[_SHOWN - 1]
        given = given[scores[given] <= border]
    return _shown(scored, given[np.argsort(scores[given], kind="stable")][:_SHOWN].tolist())


def _shown(scored: pa.Table, positions: Sequence[int]) -> list[dict[str, Any]]:
    wanted = scored.select(["id", "score", "rationale", "messages"])
    rows = take_rows(wanted, np.array(positions, np.int64)).to_pylist() if positions else []
    return [
        {
            "id": row["id"],
            "score": row["score"],
            "rationale": row["rationale"],
            "prompt": row["messages"][-2]["content"][:_EXCERPT] if len(row["messages"]) > 1 else "",
            "answer": row["messages"][-1]["content"][:_EXCERPT] if row["messages"] else "",
        }
        for row in rows
    ]


def _families(scored: pa.Table, settings: JudgingSettings) -> list[str]:
    if "generator" not in scored.column_names:
        return []
    return same_family(settings.judges, scored["generator"].unique().drop_null().to_pylist())


def _odd(judges: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say which judges hardly tell rows apart, or fail more often than not."""
    found = []
    for judge in judges:
        if judge["n"] and judge["n_scored"] < judge["n"] / 2:
            found.append(f"judge {judge['name']} scored only {judge['n_scored']:,} of {judge['n']:,} rows")
        most = max(judge["distribution"], key=lambda bar: bar["n"], default=None)
        is_level = most is not None and most["low"] == most["high"]
        if most is not None and is_level and judge["n_scored"] >= _BARS and most["n"] > _SAME * judge["n_scored"]:
            found.append(
                f"judge {judge['name']} gives {most['low']:g} to {most['n'] / judge['n_scored']:.0%} of the rows: it "
                "hardly tells them apart"
            )
    return found


def _ties(outcome: Outcome, settings: JudgingSettings) -> list[str]:
    """Say where chance decided much of a selection: with few levels many rows tie at the border."""
    if outcome.chosen is None or settings.select is None:
        return []
    found = []
    for group in outcome.chosen.groups:
        if group.n_tied > max(_SHOWN, 0.2 * group.n_kept):
            where = f" of {settings.select.per} {group.name}" if group.name is not None else ""
            found.append(
                f"{group.n_tied:,} rows{where} tie at the border {group.border:.4g} of {settings.select.describe()}, "
                f"which keeps {group.n_kept:,}: chance decides among them. Use min_score, a finer scale "
                "(probability_weighting), or a jury"
            )
    return found
