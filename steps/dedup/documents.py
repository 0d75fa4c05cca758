"""The texts of a row that deduplication compares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal, NamedTuple, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from steps.dedup.segments import Batch, Segments, batches_of, segments_of
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


class Documents(Sequence[Document]):
    """The documents of a column, best row first, whose texts stay where Arrow holds them.

    A `Document` is made only where one is asked for; compiled loops read the `segments`.
    """

    def __init__(
        self,
        column: pa.ChunkedArray,
        order: npt.NDArray[np.int64] | None = None,
        ids: pa.ChunkedArray | None = None,
    ) -> None:
        """Take a column.

        Args:
            column: Of type `steps.rows.MESSAGES`, or of strings, which count as answers.
            order: Positions of the rows, best first; None keeps the order of the column.
            ids: Ids of the rows, in the order of the column; None where no index asks for them.
        """
        self._column = column
        self._order = np.arange(len(column)) if order is None else np.asarray(order, np.int64)
        self._ids = ids

    @classmethod
    def of(cls, documents: Sequence[Document]) -> Documents:
        """Return documents as such, whatever sequence they come in."""
        if isinstance(documents, Documents):
            return documents
        rows = [
            [
                {"role": role, "content": text}
                for role, text in (("system", d.system), ("user", d.instruction), ("assistant", d.answer))
            ]
            for d in documents
        ]
        return cls(
            pa.chunked_array([pa.array(rows, pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())])))])
        )

    def __len__(self) -> int:
        return len(self._order)

    @overload
    def __getitem__(self, rank: int) -> Document: ...
    @overload
    def __getitem__(self, rank: slice) -> list[Document]: ...
    def __getitem__(self, rank: int | slice) -> Document | list[Document]:
        if isinstance(rank, slice):
            return [self[each] for each in range(*rank.indices(len(self)))]
        found: Any = self._column[int(self._order[rank])].as_py()
        return document_of([{"role": "assistant", "content": found}] if isinstance(found, str) else found)

    def __iter__(self) -> Iterator[Document]:
        return (self[rank] for rank in range(len(self)))

    @property
    def ids(self) -> pa.ChunkedArray | pa.Array:
        """Ids by rank; nulls where none were given."""
        return pa.nulls(len(self), pa.string()) if self._ids is None else self._ids.take(pa.array(self._order))

    def behind(self, better: pa.ChunkedArray) -> Documents:
        """Return these documents with those of a column of messages before them."""
        column = pa.chunked_array([*better.chunks, *self._column.cast(better.type).chunks], better.type)
        return Documents(column, np.concatenate([np.arange(len(better)), self._order + len(better)]))

    @cached_property
    def _batches(self) -> list[Batch]:
        return batches_of(self._column)

    @cached_property
    def _ranks(self) -> npt.NDArray[np.int64]:
        ranks = np.empty(len(self), np.int64)
        ranks[self._order] = np.arange(len(self))
        return ranks

    def segments(self, key: Key | Literal["whole"]) -> list[Segments]:
        """Return the texts that `key` names as flat arrays, a record batch at a time, with the rank of each row.

        `whole` gives all turns in order, system turns too; the other keys give the user's turns before the assistant's.
        """
        bounds = np.cumsum([0, *(batch.n for batch in self._batches)])
        return [
            segments_of(batch, key, self._ranks[start : start + batch.n])
            for batch, start in zip(self._batches, bounds[:-1], strict=True)
        ]


def lengths(examples: pa.Table) -> npt.NDArray[np.int64]:
    """Return the number of characters of each row of a table of schema `EXAMPLES`, all turns together."""
    found = [np.zeros(0, np.int64)]
    for chunk in examples["messages"].chunks:
        sizes = np.asarray(pc.utf8_length(chunk.flatten().field("content"))).astype(np.int64)
        bounds = chunk.offsets.to_numpy().astype(np.int64) - chunk.offsets[0].as_py()
        found.append(np.diff(np.concatenate([[0], np.cumsum(sizes)])[bounds]))
    return np.concatenate(found)
