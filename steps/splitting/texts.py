"""The texts of a row that are compared with what it must not repeat, as Arrow columns."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from steps.dedup.documents import documents_of
from steps.filtering.words import words

#: Between the turns of one side; no word contains it.
TURN_BREAK = "\n\n"


def sides_of(examples: pa.Table) -> tuple[pa.Array, pa.Array]:
    """Return what the user (or a tool) wrote in each row, and what the assistant wrote; system turns are left out.

    Args:
        examples: Any table with `messages`.

    Returns:
        Two `pyarrow.LargeStringArray`, one text per row.
    """
    sides = [_sides_of_chunk(chunk) for chunk in examples["messages"].chunks]
    empty = pa.array([], pa.large_string())
    # Chunk by chunk: the texts of all rows may be more than the 2 GB that one Arrow string array holds.
    prompts, answers = (pa.concat_arrays([empty, *(side[i] for side in sides)]) for i in range(2))
    return prompts, answers


def _sides_of_chunk(messages: pa.ListArray) -> tuple[pa.Array, pa.Array]:
    rows = np.asarray(pc.list_parent_indices(messages), np.int64)
    turns = messages.flatten()
    contents, roles = turns.field("content").cast(pa.large_string()), turns.field("role")
    is_answer = np.asarray(pc.equal(roles, "assistant"), np.bool_)
    is_system = np.asarray(pc.equal(roles, "system"), np.bool_)

    def joined(chosen: npt.NDArray[np.bool_]) -> pa.Array:
        bounds = np.searchsorted(rows[chosen], np.arange(len(messages) + 1)).astype(np.int32)
        parts = pa.ListArray.from_arrays(pa.array(bounds), contents.filter(pa.array(chosen)))
        return pc.binary_join(parts, pa.scalar(TURN_BREAK, pa.large_string()))

    return joined(~is_answer & ~is_system), joined(is_answer)


def compared_texts(examples: pa.Table, ngram_words: int) -> list[list[str]]:
    """Return of each row the texts to compare: what the user wrote, and the answer unless it is short.

    Args:
        examples: Any table with `messages`.
        ngram_words: Answers of fewer words are left out: "Yes." leaks nothing.
    """
    return [
        [document.instruction] + ([document.answer] if len(words(document.answer)) >= ngram_words else [])
        for document in documents_of(examples)
    ]
