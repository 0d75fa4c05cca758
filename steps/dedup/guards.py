"""Guards: what keeps two rows apart although a similarity calls them duplicates.

Sentence embeddings hardly see a changed number, a "not", or the one word that tells two tasks of a template apart.
"""

from __future__ import annotations

import re
from collections import Counter

import xxhash

from steps.dedup.documents import Document
from steps.dedup.shingles import jaccard, shingles
from steps.filtering.words import words

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


def numbers_differ(left: Document, right: Document) -> str | None:
    """Say which numbers stand in only one of two documents, or how often; None if the multisets are equal."""
    for part in ("instruction", "answer"):
        ours = Counter(_NUMBER.findall(getattr(left, part)))
        theirs = Counter(_NUMBER.findall(getattr(right, part)))
        if ours != theirs:
            only = sorted(((ours - theirs) + (theirs - ours)).elements())
            return f"numbers differ in the {part}: {', '.join(only[:5])}"
    return None


def numbers_hash(document: Document) -> int:
    """Return a signed 64-bit hash of the numbers that `numbers_differ` compares."""
    parts = (sorted(_NUMBER.findall(text)) for text in (document.instruction, document.answer))
    digest = xxhash.xxh3_64_intdigest("\n".join(" ".join(part) for part in parts).encode())
    return digest - (1 << 63)


def answers_differ(left: Document, right: Document, min_overlap: float) -> str | None:
    """Say that the answers share too few words: two questions about one passage are not duplicates."""
    overlap = _word_overlap(left.answer, right.answer)
    return f"answers share {overlap:.2f} of their words" if overlap < min_overlap else None


def _word_overlap(left: str, right: str) -> float:
    ours, theirs = shingles(words(left), 1), shingles(words(right), 1)
    return jaccard(ours, theirs) if len(ours) or len(theirs) else 1.0  # two answers without a word do not differ
