"""Texts that say the same as a protected text in other words, by sentence embeddings."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from steps.dedup.semantic import SemanticSettings, embed
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
    encoder = SemanticSettings(
        model=settings.model, max_length_tokens=settings.max_length_tokens, batch_size=settings.batch_size
    )
    vectors = embed(texts.to_pylist(), encoder)
    targets = embed(protected.to_pylist(), encoder)
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
