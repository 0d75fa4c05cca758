"""Every engine gives the same rows and the same ledgers, at any size of batches."""

import numpy as np
import pyarrow as pa
import pytest

from steps.engines.engine import engine_of
from steps.engines.settings import EngineSettings
from steps.filtering.rules import FilteringSettings, apply_filters
from steps.rows import EXAMPLES, messages_id, table

WORDS = [f"{first}{second}" for first in ("ba", "ke", "lo", "mi", "tu") for second in ("ran", "sel", "vit", "zo", "pi")]


def conversations(n: int, seed: int = 5) -> pa.Table:
    """Made questions and answers; a third are copies of earlier ones, some with words replaced, some are junk."""
    rng = np.random.default_rng(seed)
    rows = []
    answers: list[str] = []
    for number in range(n):
        words = rng.choice(WORDS, 60).tolist()
        if answers and number % 3 == 0:
            words = answers[int(rng.integers(len(answers)))].split()
            for place in rng.integers(len(words), size=int(rng.integers(3))):
                words[place] = str(rng.choice(WORDS))
        if number % 17 == 0:
            words = ["As an AI language model, I cannot help with that."] if number % 2 else ["…"]
        answers.append(" ".join(words))
        question = f"What does {rng.choice(WORDS)} {rng.choice(WORDS)} mean in {rng.choice(WORDS)} of {number % 40}?"
        messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answers[-1]}]
        row_id = messages_id(messages, "chats", "a.jsonl", number)
        origin = {"kind": "imported", "source": "chats", "path": "a.jsonl", "row": number}
        rows.append({"id": row_id, "messages": messages, "group_id": row_id, **origin})
    return table(rows, EXAMPLES)


ROWS = conversations(240)
ENGINES = [
    EngineSettings(batch_rows=50),
    EngineSettings(type="daft"),
    EngineSettings(type="daft", batch_rows=37, partitions=5),
]


@pytest.mark.parametrize("settings", ENGINES, ids=lambda each: f"{each.type}-{each.batch_rows}-{each.partitions}")
def test_filters_keep_the_same_rows_and_write_the_same_ledger(settings):
    expected = apply_filters(ROWS, FilteringSettings())
    found = apply_filters(ROWS, FilteringSettings(), engine=engine_of(settings))
    assert 0 < expected.kept.num_rows < ROWS.num_rows
    assert found.kept.equals(expected.kept)
    assert found.ledger.equals(expected.ledger)
