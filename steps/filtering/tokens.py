"""Token counts by the base model's own tokenizer file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from steps.errors import InputError
from steps.filtering.batch import TokenCounter
from steps.tables import batches_of

#: Rows tokenised at once: their tokens, some hundred bytes each as Python objects, are forgotten before the next.
TOKENISED_ROWS = 4_096


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
        # The fast variant leaves out the character offsets of tokens, which a count has no use for.
        return [len(encoding.ids) for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]

    return count_tokens


def with_token_counts(examples: pa.Table, count_tokens: TokenCounter) -> pa.Table:
    """Return the table with the column `n_tokens` (int64): the tokens of each row's messages together.

    Rows are tokenised some thousands at a time; the counts alone stay in memory.
    """
    counts = [_count(batch["messages"], count_tokens) for batch in batches_of(examples, TOKENISED_ROWS)]
    return examples.append_column("n_tokens", pa.chunked_array(counts, pa.int64()))


def _count(messages: pa.ChunkedArray, count_tokens: TokenCounter) -> pa.Array:
    """Return the tokens of each conversation."""
    rows = messages.combine_chunks()
    # A text that many rows share, as a system prompt is, is tokenised once.
    texts = rows.flatten().field("content").dictionary_encode()
    per_turn = np.asarray(count_tokens(texts.dictionary.to_pylist()), np.int64)[texts.indices.to_numpy()]
    # A running total, read where each row begins and ends: rows without turns count nothing.
    total = np.concatenate(([0], np.cumsum(per_turn, dtype=np.int64)))
    bounds = np.concatenate(([0], np.cumsum(pc.list_value_length(rows).to_numpy(zero_copy_only=False))))
    return pa.array(np.diff(total[bounds]), pa.int64())
