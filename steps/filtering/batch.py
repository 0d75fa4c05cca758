"""What a filter rule sees of the rows, as flat Arrow columns, and what it answers.

A rule is a pure function `(Batch, settings) -> Outcome`. It works on whole columns (`pyarrow.compute`, numpy, a
compiled kernel); Python touches a single row only to describe one that fails.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from steps.filtering.answer_stats import AnswerStats
from steps.filtering.row import Failure, FilterReason
from steps.rows import MESSAGES

#: Between the turns of one side when they are read as one text.
TURN_BREAK = "\n\n"

#: Token count of each text, by the base model's tokenizer.
TokenCounter = Callable[[list[str]], list[int]]


class Measure(NamedTuple):
    """A number of every row and the bounds that it must keep; the engine turns excesses into failures.

    Attributes:
        values: Shape (rows,), float64; NaN where the measure says nothing about a row, which then passes.
        low: Least value allowed, inclusive, and `too_low` the reason of a row below it; None for no bound.
        high: Largest value allowed, inclusive, and `too_high` the reason of a row above it; None for no bound.
    """

    values: npt.NDArray[np.float64]
    low: float | None = None
    too_low: FilterReason | None = None
    high: float | None = None
    too_high: FilterReason | None = None


class Outcome(NamedTuple):
    """What a rule found in a batch.

    Attributes:
        failures: Rows to drop, at most one entry a row, in any order.
        remarks: Rows that stay, with the remark that their ledger row carries.
        contents: The text of every turn of the batch (`Batch.contents`) as the rule rewrote it; None: unchanged.
        measures: Numbers behind the failures, so that the audit can show rows near a bound.
    """

    failures: Sequence[Failure] = ()
    remarks: Sequence[Failure] = ()
    contents: pa.LargeStringArray | None = None
    measures: Sequence[Measure] = ()


class Batch:
    """Some rows of schema `EXAMPLES`, their turns laid out flat.

    Attributes:
        examples: The rows, schema `EXAMPLES` with perhaps more columns.
        count_tokens: Token counter of the base model; None where none is at hand.
        n_rows: Number of rows.
        kinds: Kind of each row (`summary`, `code`, `imported`, …).
        turn_rows: Shape (turns,), int64; the row of each turn, ascending.
        roles: Role of each turn.
        contents: Text of each turn, `pyarrow.LargeStringArray`.
        is_answer: Shape (turns,), bool; whether the assistant wrote the turn.
    """

    def __init__(self, examples: pa.Table, count_tokens: TokenCounter | None = None) -> None:
        messages = _flat(examples["messages"])
        self.examples = examples
        self.count_tokens = count_tokens
        self._stats: dict[int, AnswerStats] = {}
        self.n_rows = examples.num_rows
        self.kinds: pa.Array = _flat(examples["kind"])
        flat = messages.flatten()
        self.turn_rows: npt.NDArray[np.int64] = np.asarray(pc.list_parent_indices(messages), np.int64)
        self.roles: pa.Array = flat.field("role")
        self.contents: pa.Array = flat.field("content").cast(pa.large_string())
        self.is_answer: npt.NDArray[np.bool_] = np.asarray(pc.equal(self.roles, "assistant"), np.bool_)

    @cached_property
    def answers(self) -> pa.Array:
        """Per row, the assistant's turns as one text; empty where there is none. `pyarrow.LargeStringArray`."""
        return self._joined(self.is_answer)

    @cached_property
    def prompts(self) -> pa.Array:
        """Per row, all that the assistant did not write as one text. `pyarrow.LargeStringArray`."""
        return self._joined(~self.is_answer)

    @cached_property
    def answer_turns(self) -> npt.NDArray[np.int64]:
        """Which turns the assistant wrote, shape (answer turns,)."""
        return np.flatnonzero(self.is_answer)

    def answer_stats(self, min_line_characters: int | None = None) -> AnswerStats:
        """Return the statistics of every assistant turn; computed once, however many rules ask.

        Args:
            min_line_characters: Shorter lines and paragraphs do not count as repeated; None where that is of no
                matter.
        """
        if min_line_characters is None:
            min_line_characters = next(iter(self._stats), 0)
        if min_line_characters not in self._stats:
            self._stats[min_line_characters] = AnswerStats.of(self, min_line_characters)
        return self._stats[min_line_characters]

    def subset(self, keep: npt.NDArray[np.bool_]) -> Batch:
        """Return the batch of some of its rows, in order.

        Args:
            keep: Shape (rows,).
        """
        smaller = Batch(self.examples.filter(pa.array(keep)), self.count_tokens)
        places = np.cumsum(keep) - 1
        for key, stats in self._stats.items():
            turns = keep[stats.rows]
            smaller._stats[key] = AnswerStats(stats.values[turns], places[stats.rows[turns]], smaller.n_rows)
        return smaller

    def with_contents(self, contents: pa.LargeStringArray) -> Batch:
        """Return the batch with other texts in its turns; rows keep their ids, which are for life.

        Args:
            contents: One text per turn, as `contents`.
        """
        column = self.examples.schema.get_field_index("messages")
        turns = pa.StructArray.from_arrays([self.roles, contents.cast(pa.string())], fields=list(MESSAGES.value_type))
        bounds = np.searchsorted(self.turn_rows, np.arange(self.n_rows + 1)).astype(np.int32)
        messages = pa.ListArray.from_arrays(pa.array(bounds), turns, type=MESSAGES)
        field = self.examples.schema.field(column)
        return Batch(self.examples.set_column(column, field, messages), self.count_tokens)

    def _joined(self, chosen: npt.NDArray[np.bool_]) -> pa.Array:
        rows = self.turn_rows[chosen]
        bounds = np.searchsorted(rows, np.arange(self.n_rows + 1)).astype(np.int32)
        parts = pa.ListArray.from_arrays(pa.array(bounds), self.contents.filter(pa.array(chosen)))
        return pc.binary_join(parts, pa.scalar(TURN_BREAK, pa.large_string()))


def _flat(column: pa.ChunkedArray) -> pa.Array:
    """Return a column in one piece; one without rows has no chunk to combine."""
    return column.combine_chunks() if column.num_chunks else pa.array([], column.type)
