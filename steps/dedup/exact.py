"""Exact duplicates: equal texts, after Unicode, case and white space are made uniform."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from pydantic import Field

from steps.dedup.documents import Document, Key
from steps.dedup.selection import Match, Matches
from steps.settings import Settings


class ExactSettings(Settings):
    """How exact duplicates are found."""

    key: Key = "conversation"
    """What must be equal: the whole conversation (roles and system turn too), the user's turns, or the assistant's."""

    max_drop_fraction: float = Field(0.9, ge=0, le=1)
    """Share of rows above which the run stops."""


def exact_duplicates(documents: Sequence[Document], settings: ExactSettings) -> Matches:
    """Match each row with the best row of the same key; rows whose key has no text match nothing.

    Args:
        documents: Best row first.
        settings: The key.
    """
    best: dict[bytes, int] = {}
    duplicates = []
    for row, document in enumerate(documents):
        if not document.text(settings.key).strip("\x1e "):
            continue
        survivor = best.setdefault(_digest(document, settings.key), row)
        if survivor != row:
            duplicates.append(Match(row, survivor, 1.0))
    return Matches(duplicates)


def _digest(document: Document, key: Key) -> bytes:
    parts = (document.system, document.instruction, document.answer) if key == "conversation" else (document.text(key),)
    return hashlib.sha256("\x1f".join(parts).encode("utf-8", "surrogatepass")).digest()
