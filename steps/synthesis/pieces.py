"""The pieces of a document that stay together in a chunk; what is longer than the budget is cut at its best borders."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

from steps.synthesis.pairs import NAVIGATION, strip_number
from steps.synthesis.sentences import sentence_spans
from steps.synthesis.structure import normalise, parse_blocks, sections_of

#: Counts the tokens of each text, e.g. `steps.filtering.tokens.token_counter`.
CountTokens = Callable[[list[str]], list[int]]

_LINE = re.compile(r"[^\n]*\n?")
_BETWEEN_DEFINITIONS = re.compile(r"\n\s*\n(?=\S)")


class Piece(NamedTuple):
    """What stays together: a block, a heading, or a part of a block that is too long."""

    start: int
    end: int
    is_code: bool
    leads: bool
    """A heading, or a lead-in that ends with a colon: it never stands last in a chunk."""
    level: int
    headings: tuple[str, ...]
    skipped: bool
    n_tokens: int = 0


def pieces_of(text: str, format_name: str, title: tuple[str, ...]) -> list[Piece]:
    """Return headings and blocks in order."""
    if format_name == "code":
        bounds = [0, *(found.end() for found in _BETWEEN_DEFINITIONS.finditer(text)), len(text)]
        spans = [trimmed(text, start, end) for start, end in pairwise(bounds)]
        return [Piece(start, end, True, False, 0, title, False) for start, end in spans if start < end]
    pieces = []
    for section in sections_of(parse_blocks(normalise(text, format_name)), len(text)):
        above = [*section.parents, section.heading] if section.heading else list(section.parents)
        skipped = any(NAVIGATION.fullmatch(strip_number(head.text)) for head in above)
        names = tuple(head.text for head in section.parents)
        headings = title + (names[1:] if title and names[:1] == title else names)
        if section.heading:
            head = section.heading
            pieces.append(Piece(head.start, head.end, False, True, head.level, headings, skipped))
            headings = headings if (head.text,) == title else (*headings, head.text)
        for block in section.blocks:
            leads = block.kind == "paragraph" and block.text.endswith(":")
            pieces.append(Piece(block.start, block.end, block.kind == "code", leads, 0, headings, skipped))
    return pieces


def fitting(text: str, pieces: list[Piece], budget: int, count_tokens: CountTokens) -> tuple[list[Piece], int]:
    """Return the pieces with their tokens, those above the budget cut at the best borders that they have."""
    sizes = count_tokens([text[piece.start : piece.end] for piece in pieces]) if pieces else []
    fit: list[Piece] = []
    n_cut = 0
    for piece, size in zip(pieces, sizes, strict=True):
        if size <= budget:
            fit.append(piece._replace(n_tokens=size))
            continue
        n_cut += not piece.skipped
        spans = list(_cut(text, (piece.start, piece.end), budget, count_tokens, 0))
        counts = count_tokens([text[start:end] for start, end in spans])
        fit += [
            piece._replace(start=start, end=end, n_tokens=count, leads=False)
            for (start, end), count in zip(spans, counts, strict=True)
        ]
    return fit, n_cut


def _cut(
    text: str, span: tuple[int, int], budget: int, count_tokens: CountTokens, finer: int
) -> Iterator[tuple[int, int]]:
    """Yield parts within the budget: whole lines, whole sentences of a longer line, whole words of longer ones."""
    parts = list(_BORDERS[finer](text, *span))
    sizes = count_tokens([text[start:end] for start, end in parts])
    held: tuple[int, int] | None = None
    for part, size in zip(parts, sizes, strict=True):
        if held is not None and count_tokens([text[held[0] : part[1]]])[0] <= budget:
            held = (held[0], part[1])
            continue
        if held is not None:
            yield held
        held = part
        if size > budget:
            held = None
            yield from _cut(text, part, budget, count_tokens, finer + 1) if finer + 1 < len(_BORDERS) else [part]
    if held is not None:
        yield held


def _lines(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    for line in _LINE.finditer(text, start, end):
        low, high = trimmed(text, line.start(), line.end(), indent=True)
        if low < high:
            yield low, high


def _sentences(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    return ((start + low, start + high) for low, high in sentence_spans(text[start:end]))


def _words(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    return (word.span() for word in re.compile(r"\S+").finditer(text, start, end))


def _characters(_text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    return ((at, at + 1) for at in range(start, end))


#: Ever finer borders. A "word" above the budget is a script without spaces, or no language at all.
_BORDERS = (_lines, _sentences, _words, _characters)


def trimmed(text: str, start: int, end: int, indent: bool = False) -> tuple[int, int]:
    """Return the span without white space around it; with `indent`, that of its first line stays."""
    part = text[start:end]
    left = 0 if indent and part.strip() else len(part) - len(part.lstrip())
    return start + left, max(start + left, end - (len(part) - len(part.rstrip())))
