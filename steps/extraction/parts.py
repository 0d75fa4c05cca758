"""Parts of a file (pages, slides, sheets, cells) put together to one text that remembers where each part begins."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from steps.extraction.reasons import ExtractDrop, UnusableError
from steps.extraction.repairs import added, mend
from steps.extraction.text import Extracted, Place


def assemble(parts: Iterable[tuple[str, str]], title: str | None, empty: ExtractDrop, found: str) -> Extracted:
    """Join the parts (label, Markdown), each repaired, with a blank line between; parts without text are left out.

    Args:
        parts: in reading order.
        title: title of the file, if it states one.
        empty: the reason if no part holds text.
        found: what was found then, for the ledger.

    Raises:
        UnusableError: `empty`.
    """
    texts: list[str] = []
    places: list[Place] = []
    counts: list[dict[str, int]] = []
    start = 0
    for label, raw in parts:
        text, repairs = mend(raw)
        text = text.strip("\n").rstrip()
        if not text.strip():
            continue
        counts.append(repairs)
        places.append(Place(start, mend(label)[0]))
        texts.append(text)
        start += len(text) + 2
    if not texts:
        raise UnusableError(empty, found)
    cleaned = mend(title)[0].strip() if title else ""
    return Extracted("\n\n".join(texts), cleaned or None, tuple(places), repairs=added(counts))


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    r"""Write rows as a Markdown table whose first row is the header; rows are filled up to the widest.

    >>> print(markdown_table([["a", "b"], ["1|2", "x\ny"]]))
    | a | b |
    | --- | --- |
    | 1\|2 | x y |
    """
    width = max(map(len, rows), default=0)
    if not width:
        return ""
    lines = ["| " + " | ".join([*map(_cell, row), *[""] * (width - len(row))]) + " |" for row in rows]
    return "\n".join([lines[0], "| " + " | ".join(["---"] * width) + " |", *lines[1:]])


def fenced(code: str, language: str = "") -> str:
    """Fence code with a fence longer than any that it holds.

    >>> fenced("x = 1", "python").split()
    ['```python', 'x', '=', '1', '```']
    """
    longest = max((len(run) for run in re.findall(r"`{3,}", code)), default=2)
    fence = "`" * (longest + 1)
    code = code.strip("\n").rstrip()
    return f"{fence}{language}\n{code}\n{fence}"


def _cell(value: str) -> str:
    return " ".join(value.split()).replace("|", "\\|")
