"""How near a Markdown text is to a gold one: words, order, headings and table cells."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from difflib import SequenceMatcher

_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_RULE = re.compile(r"^[\s|:-]+$", re.MULTILINE)
_HEADING = re.compile(r"^#{1,6}\s+(.+)$", re.MULTILINE)
_WORD = re.compile(r"\w+")


def scores(text: str, gold: str) -> dict[str, float | None]:
    """Return F1 of words, similarity of their order, F1 of headings and of table cells.

    Each is None where the gold output has none.

    Link targets, pictures and comments count in neither text: they are a choice of what to keep, not of how to read.
    """
    ours, theirs = _words(text), _words(gold)
    return {
        "words": _f1(ours, theirs),
        "order": SequenceMatcher(None, ours, theirs, autojunk=False).ratio(),
        "headings": _f1(_headings(text), _headings(gold)),
        "cells": _f1(_cells(text), _cells(gold)),
    }


def mean(values: Iterable[float | None]) -> float | None:
    """Return the mean of what is not None."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _bare(text: str) -> str:
    return _LINK.sub(r"\1", _COMMENT.sub("", text))


def _words(text: str) -> list[str]:
    return _WORD.findall(_RULE.sub("", _bare(text)).lower())


def _headings(text: str) -> list[str]:
    return [" ".join(_WORD.findall(found.lower())) for found in _HEADING.findall(_bare(text))]


def _cells(text: str) -> list[str]:
    lines = [line for line in _bare(text).split("\n") if line.startswith("|") and not _RULE.fullmatch(line)]
    cells = (cell for line in lines for cell in re.split(r"(?<!\\)\|", line.strip().strip("|")))
    return [words for cell in cells if (words := " ".join(_WORD.findall(cell.lower())))]


def _f1(ours: list[str], theirs: list[str]) -> float | None:
    if not theirs:
        return None
    shared = sum((Counter(ours) & Counter(theirs)).values())
    return 2 * shared / (len(ours) + len(theirs))
