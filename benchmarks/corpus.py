"""A seeded corpus of model answers with planted duplicates, for benchmarks that anyone can run.

    python -m benchmarks.corpus --rows 200000 --out corpus.parquet

Words follow a Zipf-Mandelbrot law over a made vocabulary; answers have sentences, paragraphs, lists and code, stock
phrases that many answers share, and in a quarter of them typographic characters. The mean answer has about 1.6 KB.
Planted are exact copies, copies that differ in case and white space, copies with 0.2 to 6 % of their words replaced,
and clusters that share a long boilerplate. A copy stands within the block of its original, so that the first rows of a
corpus are a corpus. No generator is shared between blocks: the first n rows are the same whatever the size.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

Ids = npt.NDArray[np.int32]

BLOCK_ROWS = 10_000
N_WORDS, N_PHRASES, N_CODE_LINES = 40_000, 400, 3_000
#: Shares of a block's rows.
COPIES, EDITED, BOILERPLATE = 0.01, 0.09, 0.02
#: Share of words replaced; 0 changes case and white space only.
EDIT_RATES = (0.0, 0.002, 0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.06)
#: Log-normal lengths in words: mean 262, as answers of 1.6 KB have.
LENGTH_MEDIAN, LENGTH_SIGMA, LENGTH_MIN, LENGTH_MAX = 215, 0.62, 5, 1_500
SCHEMA = pa.schema([("id", pa.int64()), ("text", pa.string()), ("planted_of", pa.int64()), ("rate", pa.float64())])


class Vocabulary:
    """The tokens that texts are made of: words in five forms, stock phrases, lines of code."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng([seed, 0])
        words = _made_words(rng)
        phrases = [" ".join(words[i] for i in rng.integers(0, 800, rng.integers(4, 9))) for _ in range(N_PHRASES)]
        names = rng.integers(0, 3_000, (N_CODE_LINES, 3))
        shapes = ("    {} = {}({})\n", "    if {} > {}.{}:\n", "    return {}[{}] + {}\n", "def {}({}, {}):\n")
        code = [shapes[i % 4].format(*(words[name] for name in row)) for i, row in enumerate(names)]
        accented = [
            word.replace("e", "é").replace("o", "ö") + ("’s" if i % 3 else " —") for i, word in enumerate(words)
        ]
        forms = [words, [w + "," for w in words], [w + "." for w in words], [w.capitalize() for w in words], accented]
        endings = [w + end for w in words for end in (".\n\n", ".\n- ")]
        self.tokens = pa.array([*(w for form in forms for w in form), *endings, *phrases, *code], pa.string())
        self.endings = 5 * N_WORDS
        self.phrases = self.endings + 2 * N_WORDS
        self.code = self.phrases + N_PHRASES
        weights = 1 / (np.arange(N_WORDS) + 2.7) ** 1.05
        self._cumulative = np.cumsum(weights / weights.sum())

    def draw(self, rng: np.random.Generator, n: int) -> Ids:
        """Draw words by their frequency."""
        drawn: Ids = np.searchsorted(self._cumulative, rng.random(n)).clip(0, N_WORDS - 1).astype(np.int32)
        return drawn


def _made_words(rng: np.random.Generator) -> list[str]:
    """Distinct words of consonant-vowel syllables, the frequent ones short."""
    onsets, vowels, codas = [*"bcdfghjklmnprstvwz", "st", "tr", "sh", ""], "aeiou", ["", "", "", "n", "r", "s"]
    made: dict[str, None] = {}
    while len(made) < N_WORDS:
        syllables = 1 + (len(made) > 200) + (len(made) > 3_000) + (rng.random() < 0.25)
        parts = (onsets[rng.integers(22)] + vowels[rng.integers(5)] + codas[rng.integers(6)] for _ in range(syllables))
        made.setdefault("".join(parts))
    return list(made)


def blocks(rows: int, seed: int = 1) -> Iterator[pa.Table]:
    """Yield the corpus in tables of at most `BLOCK_ROWS` rows, schema `SCHEMA`."""
    vocabulary = Vocabulary(seed)
    for number, start in enumerate(range(0, rows, BLOCK_ROWS)):
        block = _block(vocabulary, np.random.default_rng([seed, 1 + number]), start)
        yield block.slice(0, min(BLOCK_ROWS, rows - start))


def corpus(rows: int, seed: int = 1) -> pa.Table:
    """Return the whole corpus; a million rows hold 1.6 GB."""
    return pa.concat_tables(list(blocks(rows, seed)))


def _block(vocabulary: Vocabulary, rng: np.random.Generator, start: int) -> pa.Table:
    n_copies, n_edited = round(BLOCK_ROWS * COPIES), round(BLOCK_ROWS * EDITED)
    n_boilerplate = round(BLOCK_ROWS * BOILERPLATE)
    n_original = BLOCK_ROWS - n_copies - n_edited
    documents = [_document(vocabulary, rng) for _ in range(n_original - n_boilerplate)]
    documents += _boilerplate(vocabulary, rng, n_boilerplate)
    rates = [-1.0] * n_original
    origins = list(range(n_original))
    for number in range(n_copies + n_edited):
        # Three in ten copies are of one of 40 rows, so that there are clusters of more than two.
        origin = int(rng.integers(40 if number % 10 < 3 else n_original))
        rate = -1.0 if number < n_copies else EDIT_RATES[number % len(EDIT_RATES)]
        documents.append(_edited(vocabulary, rng, documents[origin], rate))
        origins.append(origin)
        rates.append(rate)
    texts = render(vocabulary, documents)
    for position in range(n_original, BLOCK_ROWS):
        if rates[position] == 0.0:
            texts[position] = "  " + texts[position].replace(" the ", "  THE ").title() + "\n"
    order = rng.permutation(BLOCK_ROWS)
    place = np.empty(BLOCK_ROWS, np.int64)
    place[order] = np.arange(BLOCK_ROWS)
    planted = [start + int(place[origins[i]]) if i >= n_original else None for i in order]
    columns = [np.arange(start, start + BLOCK_ROWS), [texts[i] for i in order], planted, [rates[i] for i in order]]
    return pa.table(columns, schema=SCHEMA)


def _document(vocabulary: Vocabulary, rng: np.random.Generator, n: int | None = None) -> Ids:
    """Draw a document: sentences of about 14 words, paragraphs, a list or code in some, typography in a quarter."""
    if n is None:
        n = int(np.clip(rng.lognormal(np.log(LENGTH_MEDIAN), LENGTH_SIGMA), LENGTH_MIN, LENGTH_MAX))
    ids = vocabulary.draw(rng, n)
    form = rng.random(n)
    ends = form < 1 / 14
    listed = rng.random() < 0.3
    broken = ends & (rng.random(n) < (0.5 if listed else 0.2))
    styled = (form > 0.99) & (rng.random() < 0.25)
    capital = np.concatenate([[True], ends[:-1]]) & ~ends
    comma = (form > 0.9) & ~styled
    made = ids.copy()
    made[comma] += N_WORDS
    made[ends & ~broken] += 2 * N_WORDS
    made[capital & ~comma & ~styled] += 3 * N_WORDS
    made[styled & ~ends] += 4 * N_WORDS
    made[broken] = vocabulary.endings + 2 * ids[broken] + (1 if listed else 0)
    stock = (rng.random(n) < 0.004) & ~ends
    made[stock] = vocabulary.phrases + rng.integers(0, N_PHRASES, int(stock.sum()))
    if rng.random() < 0.15 and n > 60:
        lines = vocabulary.code + rng.integers(0, N_CODE_LINES, rng.integers(3, 12))
        made = np.concatenate([made[: n // 2], lines.astype(np.int32), made[n // 2 :]])
    return made


def _boilerplate(vocabulary: Vocabulary, rng: np.random.Generator, n: int) -> list[Ids]:
    """Documents of one template: half to two thirds of the words are shared, the rest is each one's own."""
    template = _document(vocabulary, rng, 160)
    return [
        np.concatenate([template, _document(vocabulary, rng, int(rng.integers(60, 160)))]).astype(np.int32)
        for _ in range(n)
    ]


def _edited(vocabulary: Vocabulary, rng: np.random.Generator, document: Ids, rate: float) -> Ids:
    edited = document.copy()
    if rate > 0:
        places = rng.choice(len(document), max(1, round(rate * len(document))), replace=False)
        edited[places] = vocabulary.draw(rng, len(places))
    return edited


def render(vocabulary: Vocabulary, documents: list[Ids]) -> list[str]:
    offsets = np.concatenate([[0], np.cumsum([len(document) for document in documents])])
    tokens = vocabulary.tokens.take(pa.array(np.concatenate(documents)))
    lists = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), tokens)
    texts: list[str] = pc.binary_join(lists, " ").to_pylist()
    return texts


def read(path: Path) -> pa.Table:
    """Read texts of one's own: a Parquet or JSONL file with a column `text`, given ids by position.

    Raises:
        SystemExit: if the file has no column `text`.
    """
    if path.suffix == ".parquet":
        found = pq.read_table(path)
    else:
        from pyarrow import json

        found = json.read_json(path)
    if "text" not in found.column_names:
        raise SystemExit(f"{path} has the columns {', '.join(found.column_names)}; a column `text` is expected")
    return pa.table({"id": pa.array(np.arange(found.num_rows)), "text": found["text"].cast(pa.string())})


def write(path: Path, rows: int, seed: int = 1) -> None:
    """Write a corpus to Parquet block by block; the file appears when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".tmp")
    with pq.ParquetWriter(partial, SCHEMA) as writer:
        for block in blocks(rows, seed):
            writer.write_table(block)
    partial.replace(path)


def main(arguments: Any = None) -> None:
    """Write a corpus."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args(arguments)
    write(chosen.out, chosen.rows, chosen.seed)


if __name__ == "__main__":
    main()
