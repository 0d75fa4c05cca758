"""Answers that people labelled as good or bad, read from a file for the classifier to learn from."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from steps.errors import InputError
from steps.rows import prompt_and_answer

_GOOD = frozenset({"1", "1.0", "true", "yes", "good", "accept", "acceptable", "+"})
_BAD = frozenset({"0", "0.0", "false", "no", "bad", "reject", "unacceptable", "-"})


class Labelled(NamedTuple):
    """One labelled answer."""

    prompt: str
    answer: str
    is_good: bool


def read_labelled(path: Path) -> list[Labelled]:
    """Read labelled answers; rows whose label is blank are not labelled yet and are passed over.

    Args:
        path: JSONL or CSV file (UTF-8) with the columns `prompt` and `answer`, or (JSONL) `messages`, and `label`.

    Raises:
        InputError: if the file cannot be read, or a row lacks a column or has a label that is neither good nor bad.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"labels_path={path} cannot be read ({error}); name a JSONL or CSV file in UTF-8") from None
    found = []
    for number, row in _rows(text, path):
        label = str(row.get("label", "")).strip().lower() if row.get("label") is not None else ""
        if not label:
            continue
        if label not in _GOOD | _BAD:
            raise InputError(
                f"labels_path={path}: label {row['label']!r} of row {number} is neither good nor bad; write 1 or 0, "
                "true or false, good or bad"
            )
        found.append(Labelled(*_texts(row, number, path), label in _GOOD))
    return found


def _rows(text: str, path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    if path.suffix.lower() == ".csv":
        yield from enumerate(csv.DictReader(text.splitlines(keepends=True)), start=1)
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise InputError(f"labels_path={path}: line {number} is not JSON ({error})") from None
        if not isinstance(row, dict):
            raise InputError(f"labels_path={path}: line {number} holds no object with prompt, answer and label")
        yield number, row


def _texts(row: Mapping[str, Any], number: int, path: Path) -> tuple[str, str]:
    try:
        if "messages" in row:
            prompt, answer = prompt_and_answer(row["messages"])
            return "\n\n".join(turn["content"] for turn in prompt), answer
        if isinstance(row["prompt"], str) and isinstance(row["answer"], str) and row["answer"].strip():
            return row["prompt"], row["answer"]
    except (KeyError, TypeError, ValueError):
        pass
    raise InputError(f"labels_path={path}: row {number} has no texts `prompt` and `answer` (or `messages`)")
