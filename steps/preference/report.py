"""What the page says of the preferences: where they come from, who decided, by what margin, and how biased they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from steps.judging.verdict import Verdict, preference_of
from steps.ledger import count_dropped, reasons
from steps.llm.usage import usage_of
from steps.preference.candidate import Candidate
from steps.preference.length_bias import LengthBias, measure_length_bias
from steps.preference.near_duplicates import NearDuplicateDrop
from steps.preference.protected import TestDrop
from steps.rows import CALL, LEDGER

#: Rows of a kind that the report shows.
_SHOWN = 5


def report_preferences(
    candidates: Sequence[Candidate],
    used: Sequence[Candidate],
    ledger: pa.Table,
    before: LengthBias,
    verdicts: Sequence[Verdict],
    verdict_rows: pa.Table,
    calls: pa.Table,
) -> dict[str, Any]:
    """Sum the stage up, as plain JSON.

    Args:
        candidates: All pairs that were found, before any check of pairs.
        used: The pairs that are trained on.
        ledger: Of the stage.
        before: Length bias of the pairs that stood before it was bounded.
        verdicts: Of all judges.
        verdict_rows: The same, of schema `rows.VERDICTS`.
        calls: Schema `rows.CALL`: what was asked of other models than judges.
    """
    gone = reasons(ledger)
    return {
        "n_candidates": ledger.num_rows,
        "n_pairs": len(used),
        "n_dropped": count_dropped(ledger),
        "reasons": gone,
        "origins": {origin: _origin(origin, candidates, used) for origin in sorted({one.origin for one in candidates})},
        "rankers": dict(Counter(str(one.pair["ranker"]) for one in used).most_common()),
        "margins": _margins(used),
        "length_bias": {"before": before._asdict(), "after": measure_length_bias(used)._asdict()},
        "near_duplicates": _kind(ledger, (NearDuplicateDrop.NEAR_DUPLICATE_ANSWERS,)),
        "test_overlap": _kind(ledger, tuple(TestDrop)),
        "comparisons": _comparisons(verdicts),
        "judges": _judges(verdicts),
        "usage": usage_of(pa.concat_tables([verdict_rows.select(CALL.names), calls])),
    }


def _origin(origin: str, candidates: Sequence[Candidate], used: Sequence[Candidate]) -> dict[str, Any]:
    own = [one for one in used if one.origin == origin]
    return {
        "n_found": sum(one.origin == origin for one in candidates),
        "n_used": len(own),
        "length_bias": measure_length_bias(own)._asdict(),
    }


def _margins(used: Sequence[Candidate]) -> dict[str, dict[str, float | int]]:
    """Return, per ranker, quantiles of the margins of its pairs that have scores."""
    margins: dict[str, list[float]] = {}
    for one in used:
        if one.margin is not None:
            margins.setdefault(str(one.pair["ranker"]), []).append(one.margin)
    return {
        ranker: {
            "n": len(found),
            **dict(zip(("min", "p50", "max"), np.quantile(found, [0, 0.5, 1]).round(6).tolist(), strict=True)),
        }
        for ranker, found in sorted(margins.items())
    }


def _kind(ledger: pa.Table, kinds: Sequence[str]) -> dict[str, Any]:
    """Return how many rows went for these reasons, and the first of them with their evidence."""
    rows = [row for row in ledger.to_pylist() if row["decision"] == "dropped" and row["reason"] in set(kinds)]
    shown = [{name: row[name] for name in LEDGER.names if name not in {"stage", "decision"}} for row in rows[:_SHOWN]]
    return {"n": len(rows), "reasons": dict(Counter(row["reason"] for row in rows)), "examples": shown}


def _comparisons(verdicts: Sequence[Verdict]) -> dict[str, int | float | None]:
    """Return how often both orders agreed, and how often the answer shown first won: 0.5 is no position bias."""
    by_item: dict[tuple[str, str], dict[str, Verdict]] = {}
    for verdict in verdicts:
        if verdict.order is not None:
            by_item.setdefault((verdict.judge, verdict.item_id), {})[verdict.order] = verdict
    both = [preference_of(orders["ab"], orders["ba"]) for orders in by_item.values() if len(orders) == 2]
    decided = [one for one in both if one.consistent is not None]
    firsts = [verdict.score for verdict in verdicts if verdict.order is not None and verdict.score is not None]
    return {
        "n": len(by_item),
        "n_unscored": len(by_item) - len(decided),
        "n_inconsistent": sum(one.consistent is False for one in decided),
        "n_ties": sum(one.consistent is True and one.first_wins == 0.5 for one in decided),
        "share_first_wins": round(sum(firsts) / len(firsts), 6) if firsts else None,
    }


def _judges(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """Return, per judge, its fingerprint, and its verdicts with and without a score."""
    found: dict[tuple[str, str], list[Verdict]] = {}
    for verdict in verdicts:
        found.setdefault((verdict.judge, verdict.fingerprint), []).append(verdict)
    return [
        {
            "judge": judge,
            "fingerprint": fingerprint,
            "n_verdicts": len(own),
            "unscored": dict(Counter(str(one.unscored_reason) for one in own if one.score is None)),
        }
        for (judge, fingerprint), own in sorted(found.items())
    ]
