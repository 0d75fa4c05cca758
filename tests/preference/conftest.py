from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from steps.chat.generation import Generated, GenerationSettings
from steps.rows import PREFERENCES, SFT, content_id, table


def row(row_id: str, prompt: str, answer: str, split: str = "train", kind: str = "summary") -> dict[str, Any]:
    return {
        "id": row_id,
        "messages": [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}],
        "kind": kind,
        "source": "notes",
        "path": f"{row_id}.md",
        "group_id": row_id,
        "split": split,
    }


def sft(*rows: dict[str, Any]) -> pa.Table:
    return table(rows, SFT)


def pair(prompt: str, chosen: str, rejected: str, row: int = 0, roles: Sequence[str] = ("user",)) -> dict[str, Any]:
    return {
        "id": content_id(prompt, chosen, rejected, row),
        "prompt": [{"role": role, "content": prompt} for role in roles],
        "chosen": [{"role": "assistant", "content": chosen}],
        "rejected": [{"role": "assistant", "content": rejected}],
        "ranker": "human",
        "source": "people",
        "path": "pairs.jsonl",
        "row": row,
    }


def preferences(*pairs: dict[str, Any]) -> pa.Table:
    return table(pairs, PREFERENCES)


def answers(*texts: str, stopped: bool = True) -> list[Generated]:
    return [Generated(text, len(text.split()) + 1, stopped) for text in texts]


def no_samples(prompts: list[list[dict[str, str]]], generation: GenerationSettings) -> list[list[Generated]]:
    raise AssertionError("nothing may be sampled")
