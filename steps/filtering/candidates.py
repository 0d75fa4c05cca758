"""The turns that a rule has to read one by one, found over the whole column first."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from steps.filtering.batch import Batch
from steps.filtering.row import Failure


class Candidate(NamedTuple):
    """One turn: its row, its place among the batch's turns, and its text."""

    row: int
    turn: int
    text: str


def matching_turns(batch: Batch, pattern: str, *, answers_only: bool, ignore_case: bool = False) -> list[Candidate]:
    """Return the turns whose text matches a regular expression (RE2), in order.

    Args:
        batch: The rows.
        pattern: Searched in every turn at once.
        answers_only: Whether only the assistant's turns are wanted.
        ignore_case: Whether case counts.
    """
    return chosen_turns(batch, pc.match_substring_regex(batch.contents, pattern, ignore_case=ignore_case), answers_only)


def chosen_turns(batch: Batch, chosen: pa.Array, answers_only: bool) -> list[Candidate]:
    """Return the turns at which `chosen` (bool, one a turn) is true, in order."""
    wanted = np.asarray(chosen, np.bool_)
    if answers_only:
        wanted = wanted & batch.is_answer
    turns = np.flatnonzero(wanted)
    texts = batch.contents.take(pa.array(turns)).to_pylist()
    rows = batch.turn_rows[turns].tolist()
    return [Candidate(*found) for found in zip(rows, turns.tolist(), texts, strict=True)]


def first_failures(
    candidates: Iterable[Candidate], defect: Callable[[Candidate], Failure | None]
) -> tuple[Failure, ...]:
    """Return the first failure of each row; once a row failed, its other turns are not read."""
    failures: dict[int, Failure] = {}
    for candidate in candidates:
        if candidate.row not in failures:
            failure = defect(candidate)
            if failure is not None:
                failures[candidate.row] = failure
    return tuple(failures.values())
