"""Runs rules over a batch of rows, in order: the first failure of a row names why it was dropped.

What comes out depends on the row alone, never on its neighbours, so that any batch size and any partition of a
distributed engine give the same rows and the same ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from steps.filtering.batch import Batch, Measure, Outcome, TokenCounter
from steps.filtering.row import Failure, FilterReason, Row, rows_of
from steps.ledger import StageResult
from steps.rows import LEDGER

#: A rule family: what it finds in a batch under its settings.
Rule = Callable[[Batch, Any], Outcome]

#: Share of a batch's rows that must have failed before the batch is made anew without them. Copying costs as much as
#: several cheap rules; an expensive one is spared the rows that are lost already.
SHRINK_AT = 0.2


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
    books = _Books(examples.num_rows)
    places = np.arange(batch.n_rows)
    alive = np.ones(batch.n_rows, np.bool_)
    for _, rule, settings in rules:
        if alive.mean() <= 1 - SHRINK_AT if alive.size else False:
            batch, places, alive = batch.subset(alive), places[alive], np.ones(int(alive.sum()), np.bool_)
        outcome = rule(batch, settings)
        books.drop(outcome, places, alive)
        for remark in outcome.remarks:
            _remark(books.remarks, int(places[remark.position]), remark)
        if outcome.contents is not None:
            batch = batch.with_contents(outcome.contents)
    kept = batch.examples if alive.all() else batch.examples.filter(pa.array(alive))
    return StageResult(kept, books.ledger(stage, examples["id"]))


class _Books:
    """Why rows were dropped, by columns: an object a row would cost more than the rules do."""

    def __init__(self, n_rows: int) -> None:
        self.reasons: list[str | None] = [None] * n_rows
        self.scores: list[float | None] = [None] * n_rows
        self.details: list[str | None] = [None] * n_rows
        self.dropped = np.zeros(n_rows, np.bool_)
        self.remarks: dict[int, Failure] = {}

    def drop(self, outcome: Outcome, places: npt.NDArray[np.int64], alive: npt.NDArray[np.bool_]) -> None:
        """Note the first failure of each row that is alive, as `failures_of` orders them, and mark it in `alive`."""
        for failure in outcome.failures:
            if alive[failure.position]:
                alive[failure.position] = False
                self._note(int(places[failure.position]), failure)
        for measure in outcome.measures:
            for low, beyond_it in zip((True, False), beyond(measure), strict=True):
                found = np.flatnonzero(beyond_it & alive)
                if len(found):
                    alive[found] = False
                    self._note_all(places[found].tolist(), measure, measure.values[found].tolist(), low=low)
        self.dropped[places[~alive]] = True

    def ledger(self, stage: str, ids: pa.ChunkedArray) -> pa.Table:
        """Return one ledger row per row, in order."""
        n = len(self.reasons)
        for place, remark in self.remarks.items():
            if not self.dropped[place]:
                self._note(place, remark)
        columns = [
            ids,
            pa.repeat(stage, n),
            pc.if_else(pa.array(self.dropped), "dropped", "kept"),
            pa.array(self.reasons, pa.string()),
            pa.nulls(n, pa.string()),
            pa.array(self.scores, pa.float64()),
            pa.array(self.details, pa.string()),
        ]
        return pa.Table.from_arrays(columns, schema=LEDGER)

    def _note(self, place: int, found: Failure) -> None:
        self.reasons[place], self.scores[place], self.details[place] = found.reason.value, found.score, found.detail

    def _note_all(self, places: list[int], measure: Measure, values: list[float], *, low: bool) -> None:
        reason, end = _excess_of(measure, low=low)
        name = reason.value
        for place, value in zip(places, values, strict=True):
            self.reasons[place], self.scores[place], self.details[place] = name, value, f"{value:.4g}{end}"


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
        below, above = beyond(measure)
        for position in np.flatnonzero(below | above).tolist():
            if position not in found:
                found[position] = _excess(measure, position, low=bool(below[position]))
    return found


def _excess(measure: Measure, position: int, *, low: bool) -> Failure:
    reason, end = _excess_of(measure, low=low)
    value = float(measure.values[position])
    return Failure(position, reason, value, f"{value:.4g}{end}")


def _excess_of(measure: Measure, *, low: bool) -> tuple[FilterReason, str]:
    """Return the reason of a row beyond a bound, and how its detail ends behind the value."""
    reason, sign, bound = (measure.too_low, "<", measure.low) if low else (measure.too_high, ">", measure.high)
    return reason, f" {sign} {bound:.4g}"  # type: ignore[return-value]


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
