from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from steps.rows import EXAMPLES, messages_id, table


@pytest.fixture
def examples() -> Callable[..., pa.Table]:
    """A table of (prompt, answer) pairs; groups are `g0`, `g1`, … unless given."""

    def build(pairs: list[tuple[str, str]], groups: list[str] | None = None, system: str | None = None) -> pa.Table:
        rows: list[dict[str, Any]] = []
        for number, (prompt, answer) in enumerate(pairs):
            messages = [{"role": "system", "content": system}] if system else []
            messages += [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
            rows.append(
                {
                    "id": messages_id(messages, number),
                    "messages": messages,
                    "kind": "imported",
                    "source": "made",
                    "path": "made.jsonl",
                    "row": number,
                    "group_id": groups[number] if groups else f"g{number}",
                }
            )
        return table(rows, EXAMPLES)

    return build


@pytest.fixture
def kept() -> Callable[..., list[int]]:
    """The row numbers that survived, in the order of the result."""
    return lambda result: result.kept["row"].to_pylist()
