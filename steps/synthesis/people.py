"""Who asks and how: personas, and the user's own example pairs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple, get_args

from pydantic import Field

from steps.errors import InputError
from steps.llm.prompt_files import load_prompt_file
from steps.settings import Settings
from steps.synthesis.prompts import GenerationKind

_BUNDLED = Path(__file__).parent / "personas"


class Personas(Settings):
    """The content of a persona file."""

    name: str = Field(min_length=1)
    """Name of the list, with its version."""
    personas: tuple[str, ...] = Field(min_length=1)
    """Each a noun phrase, such as `a support agent who has a customer waiting`."""


class Seed(NamedTuple):
    """One example pair of the user's."""

    instruction: str
    answer: str
    kind: str | None = None


def load_personas(name_or_path: str | None) -> tuple[str, ...]:
    """Load a list of personas; None is an empty one.

    Raises:
        ConfigError: if there is no such list, or the file is none.
    """
    if name_or_path is None:
        return ()
    return load_prompt_file(Personas, "personas", name_or_path, _BUNDLED)[0].personas


def load_seeds(path: str | None) -> tuple[Seed, ...]:
    """Read the example pairs of a JSONL file, each once; None is no example.

    Raises:
        InputError: if the file cannot be read, or a line is no pair; it names the line.
    """
    if path is None:
        return ()
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"few_shot_path={path} cannot be read ({error}); name a JSONL file in UTF-8") from None
    seeds = [_seed(line, f"{path}, line {number}") for number, line in enumerate(lines, start=1) if line.strip()]
    if not seeds:
        raise InputError(f"few_shot_path={path} holds no pair; write some, or leave it out")
    return tuple(dict.fromkeys(seeds))


def _seed(line: str, where: str) -> Seed:
    try:
        found: Any = json.loads(line)
    except ValueError as error:
        raise InputError(f"{where}: found no JSON ({error}); write one object a line") from None
    instruction, answer = (found.get(key) if isinstance(found, dict) else None for key in ("instruction", "answer"))
    if not all(isinstance(text, str) and text.strip() for text in (instruction, answer)):
        raise InputError(f'{where}: expected {{"instruction": …, "answer": …}} with a text in both; correct the line')
    kind = found.get("kind")
    if kind is not None and kind not in get_args(GenerationKind):
        raise InputError(f"{where}: kind {kind!r} is none of {', '.join(get_args(GenerationKind))}; correct the line")
    return Seed(str(instruction).strip(), str(answer).strip(), kind)
