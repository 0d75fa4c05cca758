"""Blocks of Markdown that a reader has written, and how lists are made of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Piece(NamedTuple):
    """One rendered block; `kind` is paragraph, heading, list, code, table, quote or rule."""

    kind: str
    text: str


def list_item(marker: str, pieces: Sequence[Piece]) -> str:
    r"""Write one item: nested lists follow tightly, other blocks behind a blank line, all below the item's text.

    >>> list_item("1. ", [Piece("paragraph", "a"), Piece("list", "- b")])
    '1. a\n   - b'
    """
    if len(pieces) == 1 and pieces[0].kind == "list" and marker == "- ":
        return pieces[0].text  # an item that is a list: the marks of both would stand on one line
    text = marker + indented(pieces[0].text, len(marker)).lstrip()
    for piece in pieces[1:]:
        text += ("\n" if piece.kind == "list" else "\n\n") + indented(piece.text, len(marker))
    return text


def term_with(term: str, definitions: Sequence[Piece]) -> str:
    r"""Write a term and its definitions as an item with items below it.

    >>> term_with("Duck", [Piece("paragraph", "a bird")])
    '- **Duck**\n  - a bird'
    """
    lines = [f"- {marked(term, '**')}"]
    lines += [indented(piece.text if piece.kind == "list" else list_item("- ", [piece]), 2) for piece in definitions]
    return "\n".join(lines)


def quoted(text: str) -> str:
    """Write a text as a block quote."""
    return "\n".join(f"> {line}".rstrip() for line in text.split("\n"))


def marked(inner: str, mark: str) -> str:
    """Put marks around words, and the spaces outside of the marks; words of several lines stay bare.

    >>> marked(" bold ", "**")
    ' **bold** '
    """
    words = inner.strip()
    if not words or "\x00" in words or words.startswith(mark):
        return inner
    start = inner.index(words)
    return f"{inner[:start]}{mark}{words}{mark}{inner[start + len(words) :]}"


def indented(text: str, n: int) -> str:
    """Indent all lines but empty ones."""
    return "\n".join(" " * n + line if line else line for line in text.split("\n"))
