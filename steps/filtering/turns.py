"""Turn structure: a conversation that a chat template can render and a trainer can learn from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from steps.filtering.row import Failure, FilterReason, Row
from steps.settings import Settings

#: Which roles may follow a role. Two tool results may follow one call.
MAY_FOLLOW = {
    "": {"system", "user"},
    "system": {"user"},
    "user": {"assistant"},
    "assistant": {"user", "tool"},
    "tool": {"assistant", "tool"},
}


class TurnSettings(Settings):
    """Which conversations are well formed."""

    allow_assistant_first: bool = False
    """Accept a conversation that the assistant opens, as in text for continued pre-training."""

    allow_tool_turns: bool = True
    """Accept turns of the role `tool` after an assistant turn."""


def broken_turns(rows: Iterable[Row], settings: TurnSettings) -> Iterator[Failure]:
    """Yield the rows whose roles do not alternate, or that hold an empty turn."""
    for row in rows:
        found = _first_defect(row, settings)
        if found:
            reason, detail = found
            yield Failure(row.position, reason, None, detail)


def _first_defect(row: Row, settings: TurnSettings) -> tuple[FilterReason, str | None] | None:
    if not row.turns:
        return FilterReason.EMPTY_CONVERSATION, None
    before = ""
    for number, turn in enumerate(row.turns, start=1):
        if turn.role not in MAY_FOLLOW or (turn.role == "tool" and not settings.allow_tool_turns):
            return FilterReason.UNKNOWN_ROLE, f"turn {number}: {turn.role!r}"
        if not turn.content.strip():
            return FilterReason.EMPTY_TURN, f"turn {number}: {turn.role}"
        if turn.role not in MAY_FOLLOW[before]:
            reason = _misplaced(before, turn.role, settings)
            if reason:
                return reason, f"turn {number}: {turn.role} after {before or 'the beginning'}"
        before = turn.role
    if before != "assistant":
        return FilterReason.NOT_ENDING_WITH_ASSISTANT, f"last turn: {before}"
    return None


def _misplaced(before: str, role: str, settings: TurnSettings) -> FilterReason | None:
    if role == "system":
        return FilterReason.SYSTEM_NOT_FIRST
    if before in {"", "system"}:
        allowed = role == "assistant" and settings.allow_assistant_first
        return None if allowed else FilterReason.NOT_STARTING_WITH_USER
    return FilterReason.ROLES_DO_NOT_ALTERNATE
