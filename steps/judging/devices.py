"""Where a judge's model runs."""

from __future__ import annotations


def device_of(name: str) -> str:
    """Return the torch device of a setting: `auto` is a GPU where there is one."""
    if name != "auto":
        return name
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
