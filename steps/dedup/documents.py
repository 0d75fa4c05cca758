"""The texts of a row that deduplication compares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import pyarrow as pa

from steps.filtering.words import normalise

Key = Literal["conversation", "instruction", "answer"]


class Document(NamedTuple):
    """A row as deduplication sees it, texts normalised.

    `instruction` is what the user wrote and `answer` what the assistant wrote, in all turns. The system turn is left
    out of both: a long one that all rows share would make near-duplicates of them.
    """

    instruction: str
    answer: str
    system: str

    def text(self, key: Key) -> str:
        """Return the text that `key` names."""
        if key == "conversation":
            return f"{self.instruction} {self.answer}".strip()
        return self.instruction if key == "instruction" else self.answer


def document_of(messages: Sequence[Mapping[str, str]]) -> Document:
    """Return the document of a conversation."""
    parts: dict[str, list[str]] = {"system": [], "assistant": [], "user": []}
    for message in messages:
        role = message["role"] if message["role"] in parts else "user"
        parts[role].append(normalise(message["content"]))
    # The separator keeps two turns from reading as one; no word contains it and normalising removed it from texts.
    return Document("\x1e".join(parts["user"]), "\x1e".join(parts["assistant"]), "\x1e".join(parts["system"]))


def documents_of(examples: pa.Table) -> list[Document]:
    """Return the documents of a table of schema `EXAMPLES`, in order."""
    return [document_of(messages) for messages in examples["messages"].to_pylist()]
