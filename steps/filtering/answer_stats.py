"""The statistics of the assistant's turns, from the compiled kernel, and the measures that rules make of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

if TYPE_CHECKING:
    from steps.filtering.batch import Batch

Floats = npt.NDArray[np.float64]

#: The stop words of Rae et al. 2021: a text of English holds at least two of them.
STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
#: Longest line that counts as short. FineWeb (Penedo et al. 2024, arXiv:2406.17557, appendix) has 30 characters.
SHORT_LINE_CHARACTERS = 30


@dataclass(frozen=True)
class AnswerStats:
    """Statistics of the assistant's turns.

    Attributes:
        values: Shape (answer turns, columns of `steps.kernels.text_stats`), float64.
        rows: The row of each of these turns, ascending, int64.
        n_rows: Number of rows of the batch.
    """

    values: Floats
    rows: npt.NDArray[np.int64]
    n_rows: int

    @classmethod
    def of(cls, batch: Batch, min_line_characters: int) -> Self:
        """Compute the statistics of a batch."""
        turns = batch.answer_turns
        contents = batch.contents if len(turns) == len(batch.contents) else batch.contents.take(pa.array(turns))
        return cls.of_texts(contents, batch.turn_rows[turns], batch.n_rows, min_line_characters)

    @classmethod
    def of_texts(cls, texts: pa.Array, rows: npt.NDArray[np.int64], n_rows: int, min_line_characters: int) -> Self:
        """Compute the statistics of texts; lines and paragraphs below `min_line_characters` do not repeat."""
        from steps.kernels.buffers import texts_of
        from steps.kernels.character_flags import character_flags
        from steps.kernels.text_stats import text_stats

        flat = texts_of(texts)
        for array in flat:  # numba compiles anew for an array that may be written
            array.setflags(write=False)
        values = text_stats(
            flat.data, flat.offsets, character_flags(), _stop_words(), min_line_characters, SHORT_LINE_CHARACTERS
        )
        return cls(values, rows, n_rows)

    def column(self, name: str) -> Floats:
        """Return a column by its name in `steps.kernels.text_stats`, e.g. `TOKENS`; shape (answer turns,)."""
        from steps.kernels import text_stats

        found: Floats = self.values[:, getattr(text_stats, name)]
        return found

    def share(self, part: str, whole: str) -> Floats:
        """Return one column as a share of another, shape (answer turns,); NaN where the other is 0."""
        return divide(self.column(part), self.column(whole))

    def largest(self, values: Floats) -> Floats:
        """Return the largest value among the turns of each row, shape (rows,); NaN for a row that has none."""
        return self._by_row(values, np.fmax)

    def smallest(self, values: Floats) -> Floats:
        """Return the smallest value among the turns of each row, shape (rows,); NaN for a row that has none."""
        return self._by_row(values, np.fmin)

    def worst_turn(self, values: Floats, row: int) -> int:
        """Return which of the assistant's turns of a row has its largest value, as an index into `values`."""
        first, last = int(self._bounds[row]), int(self._bounds[row + 1])
        return first if last - first == 1 else first + int(np.nanargmax(values[first:last]))

    @cached_property
    def _bounds(self) -> npt.NDArray[np.int64]:
        """Where the turns of each row begin, shape (rows + 1,)."""
        return np.searchsorted(self.rows, np.arange(self.n_rows + 1))

    def _by_row(self, values: Floats, choose: np.ufunc) -> Floats:
        if len(self.rows) == self.n_rows and np.array_equal(np.diff(self._bounds), np.ones(self.n_rows)):
            return values
        out = np.full(self.n_rows, np.nan)
        if len(values):
            firsts = np.flatnonzero(np.r_[True, self.rows[1:] != self.rows[:-1]])
            out[self.rows[firsts]] = choose.reduceat(values, firsts)
        return out


def divide(part: Floats, whole: Floats) -> Floats:
    """Return `part / whole`, NaN where `whole` is 0."""
    share: Floats = np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
    return share


@lru_cache(maxsize=1)
def _stop_words() -> npt.NDArray[np.uint64]:
    from steps.kernels.buffers import texts_of
    from steps.kernels.text_stats import word_hashes

    texts = texts_of(pa.array(STOP_WORDS))
    return np.asarray(word_hashes(texts.data, texts.offsets), np.uint64)
