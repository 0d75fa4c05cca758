import numpy as np
import pyarrow as pa

from steps.rows import MESSAGES
from steps.splitting.searched import Compared
from steps.tables import BATCH_ROWS

N = BATCH_ROWS + 5


def conversations(chunk_sizes):
    """Rows whose prompt is `prompt I`; the answer of every third has three words, of the others one."""
    chunks, first = [], 0
    for size in chunk_sizes:
        rows = range(first, first + size)
        answers = [f"some answer {row}" if row % 3 == 0 else "yes" for row in rows]
        chunks.append(
            pa.array(
                [
                    [{"role": "user", "content": f"prompt {row}"}, {"role": "assistant", "content": answer}]
                    for row, answer in zip(rows, answers, strict=True)
                ],
                MESSAGES,
            )
        )
        first += size
    return pa.table({"messages": pa.chunked_array(chunks, MESSAGES)})


TABLE = conversations([7, 0, N - 7])


def test_the_prompts_and_the_long_answers_of_the_chosen_rows_are_compared_across_batches():
    chosen = np.arange(N) % 2 == 1
    compared = Compared(TABLE, chosen, ngram_words=3)
    found = [
        (place, count)
        for places, words in compared.batches()
        for place, count in zip(places, words.counts, strict=True)
    ]
    expected = {2 * row: 2 for row in range(1, N, 2)} | {2 * row + 1: 3 for row in range(3, N, 6)}
    assert dict(found) == expected
    assert compared.n_compared == len(found) == len(expected)


def test_texts_are_read_back_by_their_places_in_ascending_order():
    compared = Compared(TABLE, np.ones(N, np.bool_), ngram_words=3)
    places = np.concatenate([np.arange(2 * N - 1, 2 * N - 9, -1), [0, 13, 12, 7], np.arange(20, 20 + 2 * 5000)])
    parts = list(compared.texts_at(places))
    assert len(parts) > 1
    read = {int(place): text.as_py() for found, texts in parts for place, text in zip(found, texts, strict=True)}
    assert list(read) == sorted(places.tolist())
    for place, text in read.items():
        row = place // 2
        answer = f"some answer {row}" if row % 3 == 0 else "yes"
        assert text == (answer if place % 2 else f"prompt {row}")


def test_a_table_without_rows_has_no_texts():
    compared = Compared(TABLE.slice(0, 0), np.zeros(0, np.bool_), ngram_words=3)
    assert list(compared.batches()) == list(compared.texts_at(np.zeros(0, np.int64))) == []
