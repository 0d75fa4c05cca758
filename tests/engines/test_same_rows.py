"""Every engine gives the same rows and the same ledgers, at any size of batches."""

import numpy as np
import pyarrow as pa
import pytest

from steps.dedup.clusters import DedupSettings, deduplicate
from steps.dedup.minhash import MinHashSettings
from steps.engines.engine import engine_of
from steps.engines.settings import EngineSettings
from steps.filtering.rules import FilteringSettings, apply_filters
from steps.rows import EXAMPLES, messages_id, table

WORDS = [f"{first}{second}" for first in ("ba", "ke", "lo", "mi", "tu") for second in ("ran", "sel", "vit", "zo", "pi")]


def conversations(n: int, seed: int = 5) -> pa.Table:
    """Made questions and answers; a third are copies of earlier ones, some with words replaced, some are junk."""
    rng = np.random.default_rng(seed)
    rows = []
    texts: list[tuple[str, str]] = []
    for number in range(n):
        question = f"What does {rng.choice(WORDS)} {rng.choice(WORDS)} mean in {rng.choice(WORDS)} of {number % 40}?"
        words = rng.choice(WORDS, 60).tolist()
        if number % 3 == 2:
            question, answer = texts[int(rng.integers(number))]
            words = answer.split()
            for place in rng.integers(len(words), size=int(rng.integers(3))):
                words[place] = str(rng.choice(WORDS))
        elif number % 17 == 0:
            words = ["As an AI language model, I cannot help with that."] if number % 2 else ["…"]
        texts.append((question, " ".join(words)))
        messages = [
            {"role": role, "content": text} for role, text in zip(("user", "assistant"), texts[-1], strict=True)
        ]
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


@pytest.mark.parametrize("settings", ENGINES[1:], ids=lambda each: f"{each.type}-{each.batch_rows}-{each.partitions}")
@pytest.mark.parametrize("method", ["exact", "minhash"])
def test_deduplication_keeps_the_same_rows_and_says_the_same_of_them(settings, method):
    choice = DedupSettings(minhash=MinHashSettings(threshold=0.6, protect_numbers=True, min_answer_overlap=0.9))
    rows = conversations(300, seed=8)
    expected = deduplicate(method, rows, choice)
    found = deduplicate(method, rows, choice, settings)
    assert expected.report["n_dropped"] > 5
    assert found.kept.equals(expected.kept)
    assert found.ledger.equals(expected.ledger)
    assert found.report == expected.report


@pytest.mark.parametrize("method", ["exact", "minhash"])
def test_a_table_without_rows_has_no_duplicates_on_any_engine(method):
    assert deduplicate(method, ROWS.slice(0, 0), DedupSettings(), EngineSettings(type="daft")).kept.num_rows == 0
    words = ROWS.slice(0, 3).set_column(1, EXAMPLES.field("messages"), pa.array([[], [], []], EXAMPLES.field(1).type))
    assert deduplicate(method, words, DedupSettings(), EngineSettings(type="daft")).kept.num_rows == 3


def test_an_earlier_index_and_the_exact_join_run_in_this_process_whatever_the_engine():
    choice = DedupSettings(minhash=MinHashSettings(method="exact_join", threshold=0.6))
    expected = deduplicate("minhash", ROWS, choice)
    assert deduplicate("minhash", ROWS, choice, EngineSettings(type="daft")).ledger.equals(expected.ledger)
