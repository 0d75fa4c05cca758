import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from steps.rows import EXAMPLES, messages_id, table
from tests.llm.server import FakeEndpoint

SUBJECTS = ("pump", "mast", "engine", "rudder", "anchor", "galley", "cabin", "radio", "compass", "winch")
FAULTS = ("leaks oil", "makes a loud noise", "does not start", "runs hot", "is bent", "has come loose", "is rusty")
REMEDIES = ("Replace the seal", "Tighten the bolts", "Clean the filter", "Call the yard", "Grease the bearing")


def example(prompt: str, answer: str, row: int = 0, group: str | None = None) -> dict[str, Any]:
    messages = [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
    row_id = messages_id(messages, "tests", "rows.jsonl", row)
    return {
        "id": row_id,
        "messages": messages,
        "kind": "imported",
        "source": "tests",
        "path": "rows.jsonl",
        "row": row,
        "group_id": group or row_id,
    }


def conversations(n: int, seed: int = 3) -> list[tuple[str, str]]:
    """Questions with whole answers that speak of the same thing."""
    rng = random.Random(seed)
    made = []
    for _ in range(n):
        subject, fault, remedy = rng.choice(SUBJECTS), rng.choice(FAULTS), rng.choice(REMEDIES)
        prompt = f"Our {subject} {fault} since last {rng.choice(['week', 'month', 'night'])}. What should the crew do?"
        answer = (
            f"If the {subject} {fault}, switch it off first. {remedy} and check the {subject} again after "
            f"{rng.randint(2, 90)} minutes. Note the result in the log, so that the next watch knows about it."
        )
        made.append((prompt, answer))
    return made


@pytest.fixture
def examples() -> pa.Table:
    return table([example(prompt, answer, i) for i, (prompt, answer) in enumerate(conversations(120))], EXAMPLES)


@pytest.fixture
def endpoint() -> Iterator[FakeEndpoint]:
    with FakeEndpoint() as running:
        yield running


@pytest.fixture
def llm_judge(endpoint: FakeEndpoint, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """The settings of an LLM judge that asks the local endpoint."""

    def make(model: str = "grader", rubric: str = "helpfulness_v2", name: str | None = None, **changes: Any) -> dict:
        asked = {
            "base_url": endpoint.base_url,
            "model": model,
            "backoff_s": 0.001,
            "max_retries": 1,
            "cache_path": str(tmp_path / "replies.sqlite"),
        }
        return {"type": "llm", "name": name, "rubric": rubric, "model": {**asked, **changes}}

    return make
