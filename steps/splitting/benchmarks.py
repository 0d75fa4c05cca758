"""The texts of benchmark files: JSONL with any keys, or plain text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from steps.errors import InputError

#: Keys whose text says what kind of row it is, rather than what the model is asked.
_LABELS = {"role", "id", "task_id", "source", "subject", "category", "type", "split", "licence", "license"}


def benchmark_texts(paths: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield `file:line` and each text of benchmark files.

    Every string of a JSONL row counts, also inside lists and objects, except labels such as `role` and `id`. Of other
    files every line counts.

    Raises:
        InputError: if a file is missing, is not UTF-8, or a JSONL line is not JSON.
    """
    for name in paths:
        path = Path(name)
        try:
            lines = path.read_text(encoding="utf-8-sig").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(
                f"curation.decontaminate.benchmark_paths names {name}, which cannot be read as UTF-8 text ({error}); "
                "correct the path or convert the file"
            ) from error
        for number, line in enumerate(lines, start=1):
            evidence = f"{name}:{number}"
            if not line.strip():
                continue
            if path.suffix in {".jsonl", ".ndjson"}:
                yield from ((evidence, text) for text in _strings(_parsed(line, evidence)))
            else:
                yield evidence, line


def _parsed(line: str, evidence: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{evidence} is not JSON ({error}); a benchmark file named .jsonl holds one JSON value per line. Correct "
            "the line, or name the file .txt to compare its lines as text"
        ) from error


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            if key not in _LABELS:
                yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
