"""The texts of a row that are compared with what it must not repeat, as Arrow columns, and their hashed words."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from steps.dedup.documents import documents_of
from steps.filtering.words import words
from steps.kernels.buffers import texts_of

if TYPE_CHECKING:
    from steps.kernels.ngrams import Words

#: Texts are hashed in batches of about this many bytes: the hashes of a batch take four times that.
BATCH_BYTES = 16 << 20
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


def batches_of(texts: pa.Array | pa.ChunkedArray) -> Iterator[pa.Array]:
    """Yield the texts in slices of about `BATCH_BYTES`, one text at least."""
    for chunk in texts.chunks if isinstance(texts, pa.ChunkedArray) else [texts]:
        ends = np.cumsum(np.asarray(pc.fill_null(pc.binary_length(chunk), 0), np.int64))
        start = 0
        while start < len(chunk):
            before = int(ends[start - 1]) if start else 0
            stop = max(int(np.searchsorted(ends, before + BATCH_BYTES, side="right")), start + 1)
            yield chunk.slice(start, stop - start)
            start = stop


def hashed(texts: pa.Array) -> Words:
    """Return the word hashes of texts, after NFKC."""
    from steps.kernels.ngrams import Words

    return Words.of(texts_of(normalised(texts)))


def normalised(texts: pa.Array) -> pa.Array:
    """Bring the texts that are not ASCII into NFKC; case and spacing are the kernel's work."""
    plain = np.asarray(pc.fill_null(pc.string_is_ascii(texts), True), np.bool_)
    if plain.all():
        return texts
    changed: list[Any] = [unicodedata.normalize("NFKC", text) for text in texts.filter(pa.array(~plain)).to_pylist()]
    return pc.replace_with_mask(texts, pa.array(~plain), pa.array(changed, texts.type))
