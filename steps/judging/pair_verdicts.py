"""What judges said of the two answers of a preference pair, under the id of that pair.

Preference building judges samples before it knows which of them become a pair: two by two under the id of the
comparison, or one by one under the id of the answer. People label pairs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from steps.judging.saved_verdicts import Judged, judges_of
from steps.rows import content_id


def judges_of_pairs(preferences: pa.Table, verdicts: pa.Table) -> list[Judged]:
    """Return the judges with their say on each pair: P(the chosen answer is better).

    A judge of single answers prefers the one that it scores higher; the place of an answer is nothing to it, so both
    orders hold the same.

    Args:
        preferences: Schema `rows.PREFERENCES`.
        verdicts: Schema `rows.VERDICTS`, as preference building leaves them.
    """
    pairs = preferences.to_pylist()
    found = [_on_pairs(judge, pairs) for judge in judges_of(verdicts)]
    return [judge for judge in found if judge.ab or judge.ba]


def rankers_of(preferences: pa.Table) -> list[Judged]:
    """Return who ranked the pairs, as judges in one order that always prefer the chosen answer."""
    found: dict[str, Judged] = {}
    for pair in preferences.select(["id", "ranker"]).to_pylist():
        name = f"ranker {pair['ranker']}"
        found.setdefault(name, Judged(name, content_id(name), votes=False)).ab[pair["id"]] = 1.0
    return list(found.values())


def _on_pairs(judge: Judged, pairs: Sequence[Mapping[str, Any]]) -> Judged:
    on_pairs = Judged(judge.name, judge.fingerprint)
    for pair in pairs:
        row_id = pair["example_id"]
        chosen, rejected = (pair[side][-1]["content"] for side in ("chosen", "rejected"))
        straight, swapped = (
            content_id("comparison", row_id, *texts) for texts in ((chosen, rejected), (rejected, chosen))
        )
        for own, there, turned in ((on_pairs.ab, judge.ab, judge.ba), (on_pairs.ba, judge.ba, judge.ab)):
            if straight in there:
                own[pair["id"]] = there[straight]
            elif swapped in turned:
                own[pair["id"]] = 1 - turned[swapped]
        alone = [judge.scores.get(content_id(row_id, text)) for text in (chosen, rejected)]
        if alone[0] is not None and alone[1] is not None:
            prefers = float((1 + np.sign(alone[0] - alone[1])) / 2)
            on_pairs.ab[pair["id"]] = on_pairs.ba[pair["id"]] = prefers
    return on_pairs
