"""Token counts by the base model's own tokenizer file."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from steps.errors import InputError
from steps.filtering.batch import TokenCounter


def token_counter(base_model: Path) -> TokenCounter:
    """Return a function that counts the tokens of texts, without special tokens.

    Args:
        base_model: Model directory that holds `tokenizer.json`.

    Raises:
        InputError: if the directory holds no such file.
    """
    from tokenizers import Tokenizer

    path = base_model / "tokenizer.json"
    if not path.is_file():
        raise InputError(
            f"{base_model} holds no tokenizer.json, which curation.filter.length needs to count tokens; use a base "
            "model with a fast tokenizer, or bound words instead of tokens"
        )
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def count_tokens(texts: list[str]) -> list[int]:
        return [len(encoding.ids) for encoding in tokenizer.encode_batch(texts, add_special_tokens=False)]

    return count_tokens


def with_token_counts(examples: pa.Table, count_tokens: TokenCounter) -> pa.Table:
    """Return the table with the column `n_tokens` (int64): the tokens of each row's messages together."""
    messages = examples["messages"].to_pylist()
    counts = iter(count_tokens([message["content"] for row in messages for message in row]))
    n_tokens = [sum(next(counts) for _ in row) for row in messages]
    return examples.append_column("n_tokens", pa.array(n_tokens, pa.int64()))
