"""How many tokens a data set has, counted as training will see them."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from steps.errors import InputError
from steps.rows import SPLITS, repeats_of, rows_of_split


def count_dataset_tokens(dataset: pa.Table, base_model: Path) -> dict[str, dict[str, int]]:
    """Count, per split, all tokens and the trained ones (answers and their ends of turn).

    A row counts as often as it is read in an epoch (`repeats`). Rows that the template refuses count as `n_refused`;
    training skips them with their reason.

    Args:
        dataset: Columns `messages` and `split`.
        base_model: Model directory whose tokenizer and chat template render the rows.
    """
    from steps.chat.model import load_tokenizer
    from steps.chat.render import IGNORED, encode

    tokenizer = load_tokenizer(base_model)
    counts = {split: {"total": 0, "trained": 0, "n_refused": 0} for split in SPLITS}
    for split, count in counts.items():
        rows = rows_of_split(dataset, split)
        for messages, times in zip(rows["messages"].to_pylist(), repeats_of(rows), strict=True):
            try:
                encoded = encode(tokenizer, messages)
            except InputError:
                count["n_refused"] += 1
                continue
            count["total"] += times * len(encoded.input_ids)
            count["trained"] += times * sum(label != IGNORED for label in encoded.labels)
    return counts
