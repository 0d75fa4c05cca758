"""The lexical guard's features as flat arrays, so that a compiled loop can compare millions of pairs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import xxhash

from steps.dedup.documents import Document
from steps.dedup.lexical import Features, Protection
from steps.dedup.shingles import shingles
from steps.filtering.words import words

#: Columns of `Marks.codes`. Numbers, negations and names must be equal; poles must not conflict.
NUMBERS, NEGATIONS, NAMES, POLES = 0, 1, 2, 3
N_CODES = 7


class Sets(NamedTuple):
    """A set of hashes a row: row `i` holds `values[offsets[i]:offsets[i + 1]]`, sorted.

    Attributes:
        offsets: Shape (rows + 1,), int64.
        values: uint64.
    """

    offsets: npt.NDArray[np.int64]
    values: npt.NDArray[np.uint64]

    @classmethod
    def of(cls, rows: Sequence[npt.NDArray[np.uint64]]) -> Sets:
        """Return the sets of rows, each sorted already."""
        offsets = np.zeros(len(rows) + 1, np.int64)
        np.cumsum([len(row) for row in rows], out=offsets[1:])
        return cls(offsets, np.concatenate(rows) if rows else np.zeros(0, np.uint64))


class Marks(NamedTuple):
    """What the guard compares of each row; see `steps.kernels.projection.apart`.

    Attributes:
        codes: Shape (rows, 7), uint64: hashes of the numbers, the negated parts and the names, then the first and
            second poles of the instruction, and of the answer. A rule that is off leaves zeros.
        quoted: Words of the quoted strings of the instruction.
        asked: Words of the instruction that some row quotes.
        answers: Words of the answer; empty when their overlap is not asked for.
        min_answer_overlap: Least Jaccard similarity of the answers' words; negative when it is off.
    """

    codes: npt.NDArray[np.uint64]
    quoted: Sets
    asked: Sets
    answers: Sets
    min_answer_overlap: float

    @classmethod
    def none(cls, n: int) -> Marks:
        """Return the marks of rows that nothing keeps apart."""
        empty = Sets(np.zeros(n + 1, np.int64), np.zeros(0, np.uint64))
        return cls(np.zeros((n, N_CODES), np.uint64), empty, empty, empty, -1.0)


def marks_of(documents: Sequence[Document], settings: Protection, needed: npt.NDArray[np.bool_] | None = None) -> Marks:
    """Return the marks of documents.

    Args:
        documents: The documents.
        settings: Which differences keep rows apart.
        needed: Shape (documents,): which of them will be compared; the others get empty marks. None is all.
    """
    codes = np.zeros((len(documents), N_CODES), np.uint64)
    nothing = np.zeros(0, np.uint64)
    quoted, answers = [nothing] * len(documents), [nothing] * len(documents)
    rows = range(len(documents)) if needed is None else np.flatnonzero(needed).tolist()
    for row in rows:
        features = Features(documents[row])
        _write_codes(codes[row], features, settings)
        if settings.protect_names:
            quoted[row] = _hashes(features.quoted)
        if settings.min_answer_overlap is not None:
            answers[row] = _hashes(words(features.answer))
    vocabulary = np.unique(np.concatenate(quoted)) if quoted else nothing
    asked = [nothing] * len(documents)
    if len(vocabulary):
        for row in rows:
            asked[row] = np.intersect1d(_hashes(words(documents[row].instruction)), vocabulary)
    overlap = settings.min_answer_overlap
    return Marks(codes, Sets.of(quoted), Sets.of(asked), Sets.of(answers), -1.0 if overlap is None else overlap)


def _write_codes(codes: npt.NDArray[np.uint64], features: Features, settings: Protection) -> None:
    if settings.protect_numbers and any(features.numbers):
        codes[NUMBERS] = _hash(features.numbers)
    if settings.protect_negations:
        negated = [found is not None for found in features.negations]
        codes[NEGATIONS] = negated[0] + 2 * negated[1]
    if settings.protect_names and features.names:
        codes[NAMES] = _hash(sorted(features.names))
    if settings.protect_opposites:
        codes[POLES:] = [mask for poles in features.poles for mask in poles]


def _hash(value: Any) -> int:
    return xxhash.xxh3_64_intdigest(repr(value).encode("utf-8", "surrogatepass"))


def _hashes(tokens: Iterable[str]) -> npt.NDArray[np.uint64]:
    return shingles(list(tokens), 1)
