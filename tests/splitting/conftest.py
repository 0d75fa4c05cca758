from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from steps.rows import SCORED, SFT, messages_id, table


@pytest.fixture
def scored() -> Callable[..., pa.Table]:
    """Scored rows of (prompt, answer, group), each a document of its own group unless a fourth entry names it."""

    def build(rows: list[tuple[str, ...]], first: int = 0) -> pa.Table:
        return table([_row(number, *row) for number, row in enumerate(rows, start=first)], SCORED)

    return build


@pytest.fixture
def dataset() -> Callable[..., pa.Table]:
    """Split rows of (prompt, answer, split), each a group of its own unless the split names one: `test:g`."""

    def build(rows: list[tuple[str, str, str]]) -> pa.Table:
        built = []
        for number, (prompt, answer, split) in enumerate(rows):
            name, _, group = split.partition(":")
            built.append({**_row(number, prompt, answer, group or f"g{number}"), "split": name})
        return table(built, SFT)

    return build


def _row(number: int, prompt: str, answer: str, group: str, document: str | None = None) -> dict[str, Any]:
    messages = [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
    return {
        "id": messages_id(messages, number),
        "messages": messages,
        "kind": "imported",
        "source": "made",
        "path": "made.jsonl",
        "row": number,
        "document_id": document or group,
        "group_id": group,
        "score": 1.0,
    }
