"""Turn structure: a conversation that a chat template can render and a trainer can learn from."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from steps.filtering.batch import Batch, Outcome
from steps.filtering.row import Failure, FilterReason
from steps.settings import Settings

ROLES = ("system", "user", "assistant", "tool")
SYSTEM, USER, ASSISTANT, TOOL = range(4)
#: What stands before the first turn.
BEGINNING = 4
#: Which roles may follow a role. Two tool results may follow one call.
MAY_FOLLOW = {
    BEGINNING: (SYSTEM, USER),
    SYSTEM: (USER,),
    USER: (ASSISTANT,),
    ASSISTANT: (USER, TOOL),
    TOOL: (ASSISTANT, TOOL),
}


class TurnSettings(Settings):
    """Which conversations are well formed."""

    allow_assistant_first: bool = False
    """Accept a conversation that the assistant opens, as in text for continued pre-training."""

    allow_tool_turns: bool = True
    """Accept turns of the role `tool` after an assistant turn."""


def broken_turns(batch: Batch, settings: TurnSettings) -> Outcome:
    """Find the rows whose roles do not alternate, or that hold an empty turn; the first defect of a row counts."""
    return Outcome(list(_defects(batch, settings)))


def _defects(batch: Batch, settings: TurnSettings) -> Iterator[Failure]:
    n_turns = len(batch.turn_rows)
    starts = np.searchsorted(batch.turn_rows, np.arange(batch.n_rows + 1))
    roles = np.asarray(pc.fill_null(pc.index_in(batch.roles, value_set=pa.array(ROLES)), -1), np.int64)
    before = np.full(n_turns, BEGINNING, np.int64)
    before[1:] = roles[:-1]
    before[starts[:-1][starts[:-1] < n_turns]] = BEGINNING
    unknown = (roles < 0) | ((roles == TOOL) & (not settings.allow_tool_turns))
    empty = _blank(batch.contents)
    misplaced = ~_allowed(settings)[before, roles]
    bad = np.flatnonzero(unknown | empty | misplaced)
    rows, firsts = np.unique(batch.turn_rows[bad], return_index=True)
    for row, turn in zip(rows.tolist(), bad[firsts].tolist(), strict=True):
        number, role = turn - int(starts[row]) + 1, batch.roles[turn].as_py()
        if unknown[turn]:
            yield Failure(row, FilterReason.UNKNOWN_ROLE, None, f"turn {number}: {role!r}")
        elif empty[turn]:
            yield Failure(row, FilterReason.EMPTY_TURN, None, f"turn {number}: {role}")
        else:
            preceding = "the beginning" if before[turn] == BEGINNING else ROLES[before[turn]]
            yield Failure(row, _misplaced(before[turn], roles[turn]), None, f"turn {number}: {role} after {preceding}")
    sound = np.ones(batch.n_rows, np.bool_)
    sound[rows] = False
    yield from _bad_ends(batch, roles, starts, sound)


def _blank(texts: pa.Array) -> npt.NDArray[np.bool_]:
    """Return which texts hold nothing but white space; the first byte decides nearly all, and no text is copied."""
    from steps.kernels.buffers import texts_of

    flat = texts_of(texts)
    blank = np.ones(flat.n, np.bool_)
    filled = np.flatnonzero(np.diff(flat.offsets))
    first = flat.data[flat.offsets[filled]]
    blank[filled] = (first <= 0x20) | (first >= 0x80)  # white space may stand here
    doubtful = np.flatnonzero(blank)
    trimmed = pc.utf8_trim_whitespace(texts.take(pa.array(doubtful)))
    blank[doubtful] = np.asarray(pc.equal(pc.binary_length(trimmed), 0), np.bool_)
    return blank


def _bad_ends(
    batch: Batch, roles: npt.NDArray[np.int64], starts: npt.NDArray[np.int64], sound: npt.NDArray[np.bool_]
) -> Iterator[Failure]:
    """Yield the rows without any turn, and those of `sound` that do not end with the assistant."""
    without = starts[1:] == starts[:-1]
    for row in np.flatnonzero(without).tolist():
        yield Failure(row, FilterReason.EMPTY_CONVERSATION)
    ends = np.flatnonzero(sound & ~without)
    last = roles[starts[ends + 1] - 1]
    for row, role in zip(ends[last != ASSISTANT].tolist(), last[last != ASSISTANT].tolist(), strict=True):
        yield Failure(row, FilterReason.NOT_ENDING_WITH_ASSISTANT, None, f"last turn: {ROLES[role]}")


def _allowed(settings: TurnSettings) -> npt.NDArray[np.bool_]:
    """Return shape (before, role): which role may follow which; the row and column -1 of an unknown role are open."""
    allowed = np.zeros((BEGINNING + 1, len(ROLES) + 1), np.bool_)
    for before, following in MAY_FOLLOW.items():
        allowed[before, following] = True
    if settings.allow_assistant_first:
        allowed[[BEGINNING, SYSTEM], ASSISTANT] = True
    allowed[:, -1] = True  # an unknown role is a defect of its own
    return allowed


def _misplaced(before: int, role: int) -> FilterReason:
    if role == SYSTEM:
        return FilterReason.SYSTEM_NOT_FIRST
    if before in (BEGINNING, SYSTEM):
        return FilterReason.NOT_STARTING_WITH_USER
    return FilterReason.ROLES_DO_NOT_ALTERNATE
