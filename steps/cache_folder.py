"""Where things are kept that can be had again: embeddings, indexes, extracted files, fetched models."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return the folder that the environment variable `TUNESMITH_CACHE` names, or one in the user's home."""
    return Path(os.environ.get("TUNESMITH_CACHE") or Path.home() / ".cache" / "tunesmith")
