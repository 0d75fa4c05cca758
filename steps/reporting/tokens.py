"""How many tokens a data set has, counted as training will see them."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from steps.rows import SPLITS, rows_of_split


def count_dataset_tokens(dataset: pa.Table, base_model: Path) -> dict[str, dict[str, int]]:
    """Count, per split, all tokens and the trained ones (answers and their ends of turn).

    Args:
        dataset: Columns `messages` and `split`.
        base_model: Model directory whose tokenizer and chat template render the rows.
    """
    from steps.chat.model import load_tokenizer
    from steps.chat.render import IGNORED, encode

    tokenizer = load_tokenizer(base_model)
    counts = {}
    for split in SPLITS:
        encoded = [encode(tokenizer, messages) for messages in rows_of_split(dataset, split)["messages"].to_pylist()]
        counts[split] = {
            "total": sum(len(row.input_ids) for row in encoded),
            "trained": sum(label != IGNORED for row in encoded for label in row.labels),
        }
    return counts
