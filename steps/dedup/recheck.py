"""The second look: a cross-encoder reads both texts of a pair at once and may refuse what their vectors proposed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from pydantic import Field

from steps.dedup.embedding import quiet_loading
from steps.errors import InputError
from steps.settings import Settings


class RecheckSettings(Settings):
    """Which cross-encoder re-checks pairs."""

    model: str
    """Sentence-transformers cross-encoder with one output: a directory, or a Hub id, e.g.
    `cross-encoder/quora-roberta-base` (trained on duplicate questions)."""

    threshold: float = Field(0.5, ge=0, le=1)
    """Least score of two duplicates, after the sigmoid. 0.5 is where a classifier of duplicates says yes; a model that
    was trained on graded similarity needs a higher value: read the report's pairs."""

    max_length_tokens: int = Field(512, ge=16)
    """Tokens of both texts together that are read."""

    batch_size: int = Field(16, ge=1)
    """Pairs per forward pass."""


class CrossEncoder:
    """Scores pairs of texts, each pair once; the better row's text stands second."""

    def __init__(self, settings: RecheckSettings, texts: Sequence[str]) -> None:
        self.threshold = settings.threshold
        self._settings = settings
        self._texts = texts
        self._scores: dict[tuple[int, int], float] = {}

    @property
    def n_scored(self) -> int:
        """How many pairs were scored."""
        return len(self._scores)

    def known(self, row: int, other: int) -> float | None:
        """Return the score of a pair, or None if it was not scored yet."""
        return self._scores.get((row, other))

    def score(self, pairs: Sequence[tuple[int, int]]) -> None:
        """Score pairs of positions.

        Raises:
            InputError: if the model cannot be loaded or has more than one output.
        """
        import torch

        model = _model(self._settings.model, self._settings.max_length_tokens)
        # Pairs of like length share a batch, so that little is padded.
        ordered = sorted(pairs, key=lambda pair: (sum(len(self._texts[row]) for row in pair), pair))
        scores = model.predict(
            [(self._texts[row], self._texts[other]) for row, other in ordered],
            batch_size=self._settings.batch_size,
            show_progress_bar=False,
            activation_fn=torch.nn.Sigmoid(),
        )
        self._scores.update(zip(ordered, map(float, scores), strict=True))


@lru_cache(maxsize=1)
def _model(name: str, max_length_tokens: int) -> Any:
    from sentence_transformers import CrossEncoder as Model

    with quiet_loading():
        try:
            model = Model(name, max_length=max_length_tokens)
        except (OSError, ValueError) as error:
            raise InputError(
                f"curation.dedup.semantic.recheck.model={name!r} cannot be loaded as a cross-encoder ({error}); name a "
                "model directory, or a Hub id that can be reached"
            ) from error
    if model.num_labels != 1:
        raise InputError(
            f"curation.dedup.semantic.recheck.model={name!r} has {model.num_labels} outputs; a cross-encoder that "
            "scores likeness with one output is needed"
        )
    return model
