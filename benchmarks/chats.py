"""Seeded short conversations with planted duplicates and junk, for benchmarks of the whole of curation.

Prompt and answer together have about 60 words (350 bytes), as instruction data has. Planted in every block of 10,000
rows: 4 % exact copies (half of them in other case and spacing), 8 % copies with some of the answer's words replaced,
1 % refusals, 1 % empty or very short answers, 1 % answers that repeat one line, and 2 % copies of a row of the first
block, so that duplicates reach across the whole corpus. The first n rows are the same whatever the size.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.corpus import N_WORDS, Vocabulary, render

Ids = npt.NDArray[np.int32]

BLOCK_ROWS = 10_000
COPIES, EDITED, FAR_COPIES, REFUSALS, EMPTY, REPEATED = 0.04, 0.08, 0.02, 0.01, 0.01, 0.01
#: Log-normal lengths in words: median, sigma, least, most.
PROMPT_WORDS, ANSWER_WORDS = (14, 0.5, 5, 60), (38, 0.6, 8, 250)
EDIT_RATES = (0.01, 0.02, 0.03, 0.05, 0.1)
REFUSAL = "As an AI language model, I cannot help with that request."
SCHEMA = pa.schema(
    [("messages", pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))), ("topic", pa.string())]
)


class _Block:
    """The rows of one block as token numbers: prompts and answers."""

    def __init__(self, vocabulary: Vocabulary, rng: np.random.Generator, n: int) -> None:
        self.prompts = _sentences(vocabulary, rng, n, PROMPT_WORDS)
        self.answers = _sentences(vocabulary, rng, n, ANSWER_WORDS)


def blocks(rows: int, seed: int = 1) -> Iterator[pa.Table]:
    """Yield the conversations in tables of at most `BLOCK_ROWS` rows, schema `SCHEMA`."""
    vocabulary = Vocabulary(seed)
    n_copied = round(BLOCK_ROWS * (COPIES + EDITED + FAR_COPIES))
    first = _Block(vocabulary, np.random.default_rng([seed, 1]), BLOCK_ROWS - n_copied)
    for number, start in enumerate(range(0, rows, BLOCK_ROWS)):
        rng = np.random.default_rng([seed, 1 + number])
        own = _Block(vocabulary, rng, BLOCK_ROWS - n_copied)
        yield _table(vocabulary, rng, own, first).slice(0, min(BLOCK_ROWS, rows - start))


def write(path: Path, rows: int, seed: int = 1) -> None:
    """Write conversations to Parquet block by block."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        for block in blocks(rows, seed):
            writer.write_table(block)


def _sentences(
    vocabulary: Vocabulary, rng: np.random.Generator, n: int, words: tuple[int, float, int, int]
) -> list[Ids]:
    """Draw texts of sentences of about 12 words, each with a capital and a full stop."""
    median, sigma, least, most = words
    lengths = rng.lognormal(np.log(median), sigma, n).clip(least, most).astype(np.int64)
    ids = vocabulary.draw(rng, int(lengths.sum()))
    ends = rng.random(len(ids)) < 1 / 12
    last = np.cumsum(lengths) - 1
    ends[last] = True
    begins = np.concatenate([[True], ends[:-1]])
    ids[ends] += 2 * N_WORDS
    ids[begins & ~ends] += 3 * N_WORDS
    return np.split(ids, last[:-1] + 1)


def _table(vocabulary: Vocabulary, rng: np.random.Generator, own: _Block, first: _Block) -> pa.Table:
    prompts, answers = list(own.prompts), list(own.answers)
    n_original = len(prompts)
    n_copies, n_edited = round(BLOCK_ROWS * COPIES), round(BLOCK_ROWS * EDITED)
    origins = rng.integers(n_original, size=n_copies + n_edited)
    for number, origin in enumerate(origins.tolist()):
        prompts.append(prompts[origin])
        rate = EDIT_RATES[number % len(EDIT_RATES)] if number >= n_copies else 0.0
        answers.append(_edited(vocabulary, rng, answers[origin], rate))
    for origin in rng.integers(n_original, size=round(BLOCK_ROWS * FAR_COPIES)).tolist():
        prompts.append(first.prompts[origin])
        answers.append(_edited(vocabulary, rng, first.answers[origin], 0.02))
    asked, said = render(vocabulary, prompts), render(vocabulary, answers)
    for row in range(n_original, n_original + n_copies // 2):
        said[row] = f"  {said[row].upper()}\n"
    _spoil(rng, said, n_original)
    order = rng.permutation(BLOCK_ROWS)
    messages = [[{"role": "user", "content": asked[row]}, {"role": "assistant", "content": said[row]}] for row in order]
    return pa.table({"messages": messages, "topic": [f"topic-{row % 20}" for row in order]}, schema=SCHEMA)


def _spoil(rng: np.random.Generator, said: list[str], n_original: int) -> None:
    """Replace some answers by refusals, by next to nothing, and by a line that repeats."""
    shares = (REFUSALS, EMPTY, REPEATED)
    chosen = rng.choice(n_original, round(BLOCK_ROWS * sum(shares)), replace=False)
    bounds = np.cumsum([round(BLOCK_ROWS * share) for share in shares])
    for number, row in enumerate(chosen.tolist()):
        if number < bounds[0]:
            said[row] = f"{REFUSAL} {said[row]}"
        elif number < bounds[1]:
            said[row] = "" if number % 2 else "…"
        else:
            said[row] = "\n".join([said[row][:60]] * 12)


def _edited(vocabulary: Vocabulary, rng: np.random.Generator, ids: Ids, rate: float) -> Ids:
    if not rate:
        return ids
    edited = ids.copy()
    places = rng.integers(len(ids), size=max(1, round(rate * len(ids))))
    edited[places] = vocabulary.draw(rng, len(places))
    return edited
