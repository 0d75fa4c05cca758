"""The texts of a data set that are compared with what it must not repeat, read batch by batch from the table.

A text is named by its place: twice the number of its row, and one more if it is the answer. Nothing but the places
stays in memory between batches.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from steps.splitting.texts import batches_of, hashed, sides_of
from steps.tables import BATCH_ROWS, take_rows

if TYPE_CHECKING:
    from steps.kernels.ngrams import Words

Places = npt.NDArray[np.int64]


class Compared:
    """The texts of some rows: all prompts, and the answers that are not short.

    Attributes:
        rows: The whole table.
        n_compared: Texts that `batches` has given so far.
    """

    def __init__(self, rows: pa.Table, chosen: npt.NDArray[np.bool_], ngram_words: int) -> None:
        """Choose the rows.

        Args:
            rows: Columns `id` and `messages`.
            chosen: Shape (rows,); whose texts are meant.
            ngram_words: Answers of fewer words are left out.
        """
        self.rows = rows
        self.n_compared = 0
        self._chosen = chosen
        self._ngram_words = ngram_words

    def batches(self) -> Iterator[tuple[Places, Words]]:
        """Yield the places of texts that are compared, and their words."""
        for start in range(0, self.rows.num_rows, BATCH_ROWS):
            own = start + np.flatnonzero(self._chosen[start : start + BATCH_ROWS])
            for side, texts in enumerate(self._sides(own)):
                first = 0
                for batch in batches_of(texts):
                    words = hashed(batch)
                    compared = words.counts >= (self._ngram_words if side else 0)
                    self.n_compared += int(compared.sum())
                    yield 2 * own[first : first + len(batch)][compared] + side, words.select(compared)
                    first += len(batch)

    def texts_at(self, places: Places) -> Iterator[tuple[Places, pa.Array]]:
        """Yield the texts at some places, by ascending place, in batches.

        Args:
            places: Any order, each once.
        """
        ordered = np.sort(places)
        for start in range(0, len(ordered), BATCH_ROWS):
            wanted = ordered[start : start + BATCH_ROWS]
            own, which = np.unique(wanted // 2, return_inverse=True)
            both = pa.concat_arrays(self._sides(own))
            yield wanted, both.take(pa.array(which + len(own) * (wanted % 2)))

    def _sides(self, own: Places) -> tuple[pa.Array, pa.Array]:
        """Return the prompts and the answers of some rows, which are read from no more of the table than holds them."""
        if not len(own):
            return sides_of(self.rows.slice(0, 0))
        first = int(own[0])
        near = self.rows.select(["messages"]).slice(first, int(own[-1]) + 1 - first)
        if len(own) < near.num_rows:
            near = take_rows(near, own - first)
        return sides_of(near)
