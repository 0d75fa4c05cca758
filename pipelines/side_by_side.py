"""Two texts that were taken for one, side by side, from where they part."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

#: Width of a column on a terminal of 100 characters, lines of it, and characters shown before the texts part.
COLUMN, LINES, BEFORE = 46, 8, 60


def spoken(messages: Sequence[Mapping[str, str]]) -> str:
    """Return what user and assistant said, on one line."""
    return " ".join(" → ".join(turn["content"] for turn in messages if turn["role"] != "system").split())


def difference(left: str, right: str) -> tuple[str, str]:
    """Return the excerpts of two texts around the first place where they part.

    >>> difference("one two three", "one two four")
    ('one two three', 'one two four')
    """
    part = next((i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right)))
    start = max(0, part - BEFORE)
    start = left.rfind(" ", 0, start) + 1 if start else 0
    return _cut(left, start), _cut(right, start)


def _cut(text: str, start: int) -> str:
    end = start + COLUMN * LINES
    return ("… " if start else "") + text[start:end] + (" …" if end < len(text) else "")


def beside(pair: Sequence[str]) -> list[str]:
    """Return the lines of two excerpts in two columns: this row, and the row that was kept."""
    columns = [textwrap.wrap(text, COLUMN) or [""] for text in pair]
    height = max(map(len, columns))
    rows = zip(*(column + [""] * (height - len(column)) for column in columns), strict=True)
    head = f"    {'this row':{COLUMN}} │ kept row"
    return [head, *(f"    {left:{COLUMN}} │ {right}".rstrip() for left, right in rows)]
