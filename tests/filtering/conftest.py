from collections.abc import Callable

import pyarrow as pa
import pytest

from steps.filtering.batch import Batch
from steps.filtering.row import Row, Turn
from steps.rows import EXAMPLES, messages_id, table


@pytest.fixture
def row() -> Callable[..., Row]:
    """A row of one prompt and one answer."""

    def build(answer: str, prompt: str = "Please explain this.", kind: str = "imported", position: int = 0) -> Row:
        return Row(position, kind, (Turn("user", prompt), Turn("assistant", answer)))

    return build


@pytest.fixture
def batch(examples) -> Callable[..., Batch]:
    """A batch of rows that `row` built, in the order of their positions."""

    def build(rows: list[Row], count_tokens=None) -> Batch:
        table = examples(*([tuple(turn) for turn in each.turns] for each in rows))
        kinds = pa.array([each.kind for each in rows], pa.string())
        return Batch(table.set_column(2, table.schema.field("kind"), kinds), count_tokens)

    return build


@pytest.fixture
def examples() -> Callable[..., pa.Table]:
    """A table of conversations, each a list of (role, content)."""

    def build(*conversations: list[tuple[str, str]]) -> pa.Table:
        rows = []
        for number, turns in enumerate(conversations):
            messages = [{"role": role, "content": content} for role, content in turns]
            rows.append(
                {
                    "id": messages_id(messages, number),
                    "messages": messages,
                    "kind": "imported",
                    "source": "made",
                    "path": "made.jsonl",
                    "row": number,
                    "group_id": f"group-{number}",
                }
            )
        return table(rows, EXAMPLES)

    return build
