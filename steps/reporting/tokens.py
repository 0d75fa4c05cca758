"""How many tokens a data set has, counted as training will see them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from steps.errors import InputError
from steps.rows import SPLITS, repeats_of
from steps.tables import take_rows

#: Rows of a split that are counted one by one: rendering takes about a millisecond a row. A larger split is counted
#: on as many rows spread evenly over it, which puts the total within about 1 % (the lengths of a row's answer vary
#: about as much as their mean: 1 / sqrt(20,000) = 0.7 %).
COUNTED_ROWS = 20_000


def count_dataset_tokens(dataset: pa.Table, base_model: Path) -> dict[str, dict[str, int]]:
    """Count, per split, all tokens and the trained ones (answers and their ends of turn).

    A row counts as often as it is read in an epoch (`repeats`). Rows that the template refuses count as `n_refused`;
    training skips them with their reason. `n_counted` is the number of rows that were looked at: below the size of
    the split, the other numbers are scaled up from them.

    Args:
        dataset: Columns `messages` and `split`.
        base_model: Model directory whose tokenizer and chat template render the rows.
    """
    from steps.chat.model import load_tokenizer

    tokenizer = load_tokenizer(base_model)
    return {split: _count(dataset, split, tokenizer) for split in SPLITS}


def _count(dataset: pa.Table, split: str, tokenizer: Any) -> dict[str, int]:
    from steps.chat.render import IGNORED, encode

    positions = pc.indices_nonzero(pc.equal(dataset["split"], split)).to_numpy().astype(np.int64)
    n = len(positions)
    if n > COUNTED_ROWS:
        positions = positions[np.arange(COUNTED_ROWS) * n // COUNTED_ROWS]
    total = trained = n_refused = 0
    rows = take_rows(dataset, positions)
    for messages, times in zip(rows["messages"].to_pylist(), repeats_of(rows), strict=True):
        try:
            encoded = encode(tokenizer, messages)
        except InputError:
            n_refused += 1
            continue
        total += times * len(encoded.input_ids)
        trained += times * sum(label != IGNORED for label in encoded.labels)
    scale = n / max(len(positions), 1)
    counts = {"total": total, "trained": trained, "n_refused": n_refused}
    return {**{name: round(count * scale) for name, count in counts.items()}, "n_counted": len(positions)}
