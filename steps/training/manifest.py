"""`tunesmith.json`: what a model directory says about how it came to be."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from steps.errors import InputError

FILE = "tunesmith.json"
_LIBRARIES = ("torch", "transformers", "trl", "peft", "tokenizers")


def write_manifest(model_dir: Path, content: Mapping[str, Any]) -> None:
    """Write the manifest; the versions of the libraries that trained the model are added."""
    complete = {**content, "versions": {name: version(name) for name in _LIBRARIES}}
    text = json.dumps(complete, indent=2, ensure_ascii=False, allow_nan=False)
    (model_dir / FILE).write_text(text + "\n", encoding="utf-8")


def read_manifest(model_dir: Path) -> dict[str, Any]:
    """Read the manifest of a model directory.

    Raises:
        InputError: if the directory has none.
    """
    file = model_dir / FILE
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{model_dir}: {FILE} cannot be read ({error}); give a model directory that `tunesmith run` has prepared"
        ) from error
    if not isinstance(content, dict) or "kind" not in content:
        raise InputError(f"{file}: expected an object with `kind`, `base` and `template`")
    return content
