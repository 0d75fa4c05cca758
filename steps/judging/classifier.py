"""A quality classifier of your own: sentence embeddings and a logistic regression, trained on labels of people."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from steps.judging.defect_score import BUNDLED_EMBEDDER
from steps.judging.judge_settings import BaseJudgeSettings


class ClassifierSettings(BaseJudgeSettings):
    """A logistic regression over embeddings of prompt and answer."""

    type: Literal["classifier"]
    labels_path: str | None = None
    """JSONL or CSV file of labelled answers with `prompt`, `answer` and `label` (1 / 0, true / false, good / bad)."""
    weights_path: str | None = None
    """`.npz` file of trained weights. With `labels_path` it keeps what was trained, and is trained anew when labels or
    settings changed; without, it must be there."""
    embedder: str = BUNDLED_EMBEDDER
    """Sentence-transformers model: the bundled MiniLM, or any path or Hub id."""
    embedder_max_length_tokens: int = Field(default=256, ge=16, le=8192)
    """Tokens of each text that are embedded."""
    min_labels: int = Field(default=200, ge=50)
    """With fewer labels nothing is trained: 768 weights learn little from less."""
    min_labels_per_class: int = Field(default=25, ge=10)
    """Nor with fewer of either class."""
    folds: int = Field(default=5, ge=2, le=20)
    """Parts of the labels for cross-validation; answers to one prompt stay together."""
    regularisation: float = Field(default=1.0, gt=0)
    """Inverse strength `C` of the L2 penalty."""

    @model_validator(mode="after")
    def _has_a_source(self) -> ClassifierSettings:
        if self.labels_path is None and self.weights_path is None:
            raise ValueError("needs labels_path to be trained, or weights_path of a trained one")
        return self

    @property
    def default_name(self) -> str:
        """`classifier:<file>`."""
        return f"classifier:{self.weights_path or self.labels_path}"

    @property
    def scale_bounds(self) -> tuple[float, float]:
        """A probability."""
        return 0.0, 1.0
