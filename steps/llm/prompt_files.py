"""Prompts are files: frozen once used, because the SHA-256 of the file stands beside all that was made with it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import AfterValidator, ValidationError

from steps.errors import ConfigError
from steps.settings import Settings

Content = TypeVar("Content", bound=Settings)


def checked_by(load: Callable[[str], object]) -> AfterValidator:
    """Return the check of a prompt's name in a config: a misspelled one costs nothing if it is loaded at once."""

    def check(name_or_path: str) -> str:
        try:
            load(name_or_path)
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return name_or_path

    return AfterValidator(check)


def load_prompt_file(form: type[Content], what: str, name_or_path: str, bundled: Path) -> tuple[Content, str]:
    """Load a bundled prompt by name, or one of the user's own by the path of its YAML file.

    Args:
        form: What the file must hold.
        what: What it is called in errors, e.g. `rubric`.
        name_or_path: `helpfulness_v1`, or `my/rubric.yaml`.
        bundled: Folder of the bundled files.

    Returns:
        The content, and the SHA-256 of the file.

    Raises:
        ConfigError: if there is no such file, or it is not of this form.
    """
    own = bundled / f"{name_or_path}.yaml"
    path = own if own.is_file() else Path(name_or_path)
    names = sorted(file.stem for file in bundled.glob("*.yaml"))
    if not path.is_file():
        raise ConfigError(f"{what} {name_or_path!r} is neither a bundled {what} ({', '.join(names)}) nor a YAML file")
    content = path.read_bytes()
    try:
        found = _parsed(form, content)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{what} {path.name} is not YAML: {error}") from None
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise ConfigError(f"{what} {path.name} is not usable: {problems}; compare the bundled {names[0]}") from None
    return found, hashlib.sha256(content).hexdigest()


@lru_cache(maxsize=64)
def _parsed(form: type[Content], content: bytes) -> Content:
    """Parse a file once: a config, its checks and its judges all ask for the same, and YAML takes 20 ms each time."""
    return form.model_validate(yaml.safe_load(content))
