"""Runs rules over a batch of rows, in order: the first failure of a row names why it was dropped.

What comes out depends on the row alone, never on its neighbours, so that any batch size and any partition of a
distributed engine give the same rows and the same ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from steps.filtering.batch import Batch, Measure, Outcome, TokenCounter
from steps.filtering.row import Failure, Row, rows_of
from steps.ledger import StageResult
from steps.rows import LEDGER

#: A rule family: what it finds in a batch under its settings.
Rule = Callable[[Batch, Any], Outcome]

#: Share of a batch's rows that must have failed before the batch is made anew without them. Copying costs as much as
#: a cheap rule; an expensive one is spared the rows that are lost already.
SHRINK_AT = 0.05


def by_row(rule: Callable[[Iterable[Row], Any], Iterable[Failure]]) -> Rule:
    """Make a rule of a function that looks at one row after the other, for checks that cannot be vectorised."""
    return lambda batch, settings: Outcome(list(rule(rows_of(batch.examples), settings)))


class ActiveRule(NamedTuple):
    """A rule family that is on, under the name of its settings."""

    name: str
    rule: Rule
    settings: Any


def filter_rows(
    stage: str, examples: pa.Table, rules: Sequence[ActiveRule], count_tokens: TokenCounter | None = None
) -> StageResult:
    """Drop the rows of a table that fail a rule; a rule sees the texts as the rules before it rewrote them.

    Args:
        stage: Name of the stage in the ledger.
        examples: Schema `EXAMPLES`, perhaps with more columns.
        rules: In the order in which they are applied.
        count_tokens: Token counter of the base model.

    Returns:
        The kept rows in order, rewritten where a rule rewrites, and one ledger row per input row, in order too.
    """
    batch = Batch(examples, count_tokens)
    places = np.arange(batch.n_rows)
    dropped: dict[int, Failure] = {}
    remarks: dict[int, Failure] = {}
    alive = np.ones(batch.n_rows, np.bool_)
    for _, rule, settings in rules:
        if alive.mean() <= 1 - SHRINK_AT if alive.size else False:
            batch, places, alive = batch.subset(alive), places[alive], np.ones(int(alive.sum()), np.bool_)
        outcome = rule(batch, settings)
        for failure in failures_of(outcome).values():
            dropped.setdefault(int(places[failure.position]), failure)
            alive[failure.position] = False
        for remark in outcome.remarks:
            _remark(remarks, int(places[remark.position]), remark)
        if outcome.contents is not None:
            batch = batch.with_contents(outcome.contents)
    kept = batch.examples if alive.all() else batch.examples.filter(pa.array(alive))
    return StageResult(kept, _ledger(stage, examples, dropped, remarks))


def failures_of(outcome: Outcome) -> dict[int, Failure]:
    """Return the first failure of each row that fails, by position; what the rule says itself goes before a measure.

    >>> from steps.filtering.row import FilterReason
    >>> measure = Measure(np.array([1.0, 9.0]), high=5, too_high=FilterReason.TOO_MANY_ANSWER_WORDS)
    >>> failures_of(Outcome(measures=[measure]))[1].detail
    '9 > 5'
    """
    found: dict[int, Failure] = {}
    for failure in outcome.failures:
        found.setdefault(failure.position, failure)
    for measure in outcome.measures:
        for failure in excesses(measure):
            found.setdefault(failure.position, failure)
    return found


def excesses(measure: Measure) -> Iterator[Failure]:
    """Yield a failure for every row outside the bounds of a measure."""
    below, above = beyond(measure)
    for position in np.flatnonzero(below).tolist():
        value = float(measure.values[position])
        yield Failure(position, measure.too_low, value, f"{value:.4g} < {measure.low:.4g}")  # type: ignore[arg-type]
    for position in np.flatnonzero(above).tolist():
        value = float(measure.values[position])
        yield Failure(position, measure.too_high, value, f"{value:.4g} > {measure.high:.4g}")  # type: ignore[arg-type]


def beyond(measure: Measure) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return which rows lie below the lower bound of a measure, and which above the upper; NaN is neither."""
    nowhere = np.zeros(len(measure.values), np.bool_)
    below = nowhere if measure.low is None else measure.values < measure.low
    above = nowhere if measure.high is None else measure.values > measure.high
    return below, above


def _remark(remarks: dict[int, Failure], place: int, remark: Failure) -> None:
    """Note a remark; of several about one row the first gives the reason, and the details stand side by side."""
    before = remarks.get(place)
    if before is None:
        remarks[place] = remark
    else:
        said = f"{remark.reason.value}: {remark.detail}" if remark.detail else remark.reason.value
        remarks[place] = before._replace(detail=f"{before.detail or before.reason.value}; {said}")


def _ledger(stage: str, examples: pa.Table, dropped: Mapping[int, Failure], remarks: Mapping[int, Failure]) -> pa.Table:
    n = examples.num_rows
    reasons: list[str | None] = [None] * n
    scores: list[float | None] = [None] * n
    details: list[str | None] = [None] * n
    decisions = ["kept"] * n
    for place, found in {**remarks, **dropped}.items():
        reasons[place], scores[place], details[place] = found.reason.value, found.score, found.detail
    for place in dropped:
        decisions[place] = "dropped"
    columns = [
        examples["id"],
        pa.repeat(stage, n),
        pa.array(decisions, pa.string()),
        pa.array(reasons, pa.string()),
        pa.nulls(n, pa.string()),
        pa.array(scores, pa.float64()),
        pa.array(details, pa.string()),
    ]
    return pa.Table.from_arrays(columns, schema=LEDGER)
