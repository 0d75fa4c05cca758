"""Texts that say the same as a protected text in other words, by sentence embeddings."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from steps.dedup.embedding import Vectors, embed
from steps.splitting.decontamination_settings import EmbeddingOverlapSettings

#: Texts per matrix product: a block of 1,024 against 100,000 protected texts is 400 MB.
BLOCK_TEXTS = 1024


def similar_texts(
    rows: npt.NDArray[np.int64], texts: pa.Array, protected: pa.Array, settings: EmbeddingOverlapSettings
) -> Iterator[tuple[int, int, float]]:
    """Yield each row with a text near a protected one: the row, the nearest protected text, their cosine.

    Args:
        rows: Row of each text.
        texts: What is searched.
        protected: What must not be trained on.
        settings: Encoder and threshold.
    """
    vectors, targets = _unit(embed(texts.to_pylist(), settings)), _unit(embed(protected.to_pylist(), settings))
    nearest = np.zeros(len(vectors), np.int64)
    cosines = np.zeros(len(vectors), np.float32)
    for start in range(0, len(vectors), BLOCK_TEXTS):
        block = vectors[start : start + BLOCK_TEXTS] @ targets.T
        nearest[start : start + len(block)] = block.argmax(axis=1)
        cosines[start : start + len(block)] = block.max(axis=1)
    hits = np.flatnonzero(cosines >= settings.threshold)
    order = hits[np.lexsort((-cosines[hits], rows[hits]))]
    _, first = np.unique(rows[order], return_index=True)
    for hit in order[first]:
        yield int(rows[hit]), int(nearest[hit]), float(cosines[hit])


def _unit(vectors: Vectors) -> Vectors:
    """Return the vectors at length 1; a vector of zeros stays one, and is like nothing."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Vectors = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return unit
