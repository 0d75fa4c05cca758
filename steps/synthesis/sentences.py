"""Sentences of a paragraph, with their offsets."""

from __future__ import annotations

import re
from collections.abc import Iterator

#: What ends with a full stop within a sentence.
_ABBREVIATION = re.compile(r"(?:\b(?:e\.g|i\.e|etc|vs|cf|al|resp|approx|Fig|Eq|Sec|No|Dr|Mr|Ms|Inc|Ltd)|\b[A-Z])\.$")
_BOUNDARY = re.compile(r"(?<=[.!?])[\"')\]*_`]*\s+(?=[\"'(\[*_`]*[A-Z0-9])")


def sentence_spans(text: str) -> Iterator[tuple[int, int]]:
    """Yield the (start, end) offsets of the sentences of a text, in order.

    >>> text = "It is small, e.g. 3 MB. It is fast!"
    >>> [text[start:end] for start, end in sentence_spans(text)]
    ['It is small, e.g. 3 MB.', 'It is fast!']
    """
    start = 0
    for boundary in _BOUNDARY.finditer(text):
        if _ABBREVIATION.search(text[start : boundary.start()]):
            continue
        end = boundary.end() - len(boundary[0]) + len(boundary[0].rstrip())
        yield start, end
        start = boundary.end()
    if text[start:].strip():
        yield start, start + len(text[start:].rstrip())


def sentences(text: str) -> list[str]:
    """Return the sentences of a text, each on one line."""
    return [" ".join(text[start:end].split()) for start, end in sentence_spans(text)]
