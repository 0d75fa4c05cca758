"""What SFT and DPO have in common: the trainer's settings, and what of them this machine can do."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Literal

from pydantic import Field

from steps.errors import ConfigError
from steps.settings import Settings

Method = Literal["lora", "qlora", "full"]


class TrainerSettings(Settings):
    """Optimisation, adapter and precision."""

    method: Method = "lora"
    """`lora` (Hu et al. 2021, arXiv 2106.09685), `qlora` (4-bit base, arXiv 2305.14314; needs a GPU) or `full`."""
    rank: int = Field(default=16, ge=1, le=1024)
    """Rank of the adapter matrices; 16 on all linear layers trains about 0.5 % of an 8B model."""
    alpha: float = Field(default=32.0, gt=0)
    """The adapter's update is scaled by alpha / rank; twice the rank is the common choice."""
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Dropout before the adapter, in SFT only: DPO compares the policy with its reference without dropout."""
    target_modules: Literal["all-linear"] | tuple[str, ...] = "all-linear"
    """Module names to adapt; `all-linear` is every linear layer but the output head (QLoRA, arXiv 2305.14314)."""
    train_chat_tokens: bool | None = None
    """Train the embeddings of the template's tokens beside the adapter. None: if the base model has never seen them."""
    learning_rate: float = Field(default=2e-4, gt=0, le=1)
    """Peak learning rate of AdamW; 2e-4 suits LoRA, full fine-tuning wants about a tenth."""
    epochs: float = Field(default=1.0, gt=0, le=1000)
    """Passes over the data."""
    batch_size: int = Field(default=8, ge=1, le=4096)
    """Rows per forward pass."""
    gradient_accumulation_steps: int = Field(default=1, ge=1, le=4096)
    """Forward passes per optimiser step."""
    max_length_tokens: int | None = Field(default=None, ge=8)
    """Longer rows are skipped and counted, never cut. None: the model's context."""
    warmup_ratio: float = Field(default=0.05, ge=0.0, lt=1.0)
    """Share of the steps over which the learning rate rises."""
    scheduler: Literal["cosine", "linear", "constant_with_warmup"] = "cosine"
    """How the learning rate falls after the warm-up."""
    weight_decay: float = Field(default=0.0, ge=0.0, le=1.0)
    """Decoupled weight decay of AdamW."""
    max_grad_norm: float = Field(default=1.0, gt=0)
    """Gradients are clipped to this norm."""
    activation_checkpointing: bool = False
    """Recompute activations in the backward pass: about a third slower, a fraction of the memory."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Compute precision; `auto` is bfloat16 on a GPU and float32 elsewhere. Full fine-tuning keeps float32 weights."""
    seed: int = Field(default=0, ge=0)
    """Seeds the adapter's initial weights, dropout and the order of the rows."""
    logging_steps: int = Field(default=10, ge=1)
    """Optimiser steps between two entries of the history; a short training has at least ten entries."""
    max_skipped_fraction: float = Field(default=0.1, ge=0.0, le=1.0)
    """Training stops before it starts if more than this share of the rows cannot be trained on."""


def has_cuda() -> bool:
    """Return whether a CUDA GPU can be used."""
    import torch

    return bool(torch.cuda.is_available())


def require_hardware(settings: TrainerSettings, key: str) -> None:
    """Refuse a method that this machine cannot do, with the alternative.

    Args:
        settings: The trainer's settings.
        key: Where they stand in the config, e.g. `training.sft`.

    Raises:
        ConfigError: for `qlora` without a CUDA GPU or without bitsandbytes.
    """
    if settings.method != "qlora" or (has_cuda() and find_spec("bitsandbytes")):
        return
    missing = "a CUDA GPU" if not has_cuda() else "bitsandbytes (pip install 'tunesmith[gpu]')"
    raise ConfigError(
        f"{key}.method=qlora quantises the base model with bitsandbytes on a CUDA GPU; this machine lacks {missing}. "
        f"Set {key}.method: lora, which trains the same adapter over the unquantised model, or name a "
        "stack.gpu_step_operator"
    )
