"""A transformers model in this process, behind the same interface as an endpoint: for work without a server."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from steps.settings import Settings


class InProcessSettings(Settings):
    """A causal language model with a chat template, loaded by this process."""

    type: Literal["transformers"]
    model: str = Field(min_length=1)
    """Folder or Hub id of the model."""
    family: str | None = None
    """Whose model it is (`llama`, `qwen`, …); none derives it from the name. A judge of the generator's family is
    flagged."""
    device: str = "auto"
    """`auto` takes a GPU where there is one; else a torch device such as `cpu`."""
    batch_size: int = Field(default=8, ge=1)
    """Prompts that are answered at once."""
    temperature: float = Field(default=0.0, ge=0, le=2)
    """Sampling temperature; 0 is greedy."""
    seed: int = Field(default=7, ge=0)
    """Seed of the sampling; sample `i` of a prompt has its own."""
    max_tokens: int = Field(default=1024, ge=1)
    """Longest reply in tokens."""
    cache_path: str | None = Field(default=".tunesmith/replies.sqlite", min_length=1)
    """SQLite file that keeps every reply; none asks anew each time."""
