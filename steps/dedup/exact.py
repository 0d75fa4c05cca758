"""Exact duplicates: equal texts, after Unicode, case and white space are made uniform."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from steps.dedup.candidates import PIECES_PER_THREAD, Workers, cores
from steps.dedup.documents import Document, Documents, Key
from steps.dedup.segments import Integers, Segments, tasks
from steps.dedup.selection import Matches, Pairs
from steps.settings import Settings


class ExactSettings(Settings):
    """How exact duplicates are found."""

    key: Key = "conversation"
    """What must be equal: the whole conversation (roles and system turn too), the user's turns, or the assistant's."""

    threads: int | None = Field(None, ge=1)
    """Threads of the compiled loops. None takes every core that the process may use. They change no result."""

    max_drop_fraction: float = Field(0.9, ge=0, le=1)
    """Share of rows above which the run stops."""


def exact_duplicates(documents: Sequence[Document], settings: ExactSettings) -> Matches:
    """Match each row with the best row of the same key; rows whose key has no text match nothing.

    Texts are equal when their 128-bit hashes are: among ten million rows, two different texts are taken for equal with
    a chance of n² / 2¹²⁹ = 1.5e-25.

    Args:
        documents: Best row first.
        settings: The key.
    """
    chosen = Documents.of(documents)
    first, second, sizes = hashes_of(chosen, settings)
    rows = np.flatnonzero(sizes > 0)
    dropped, kept = equal_rows(first[rows], second[rows], rows)
    sorting = np.argsort(dropped)
    return Matches(Pairs(dropped[sorting], kept[sorting], np.ones(len(dropped))))


def equal_rows(first: np.ndarray, second: np.ndarray, ranks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the ranks whose hash a better row has too, and the best such row of each.

    Args:
        first: Half of each row's hash.
        second: The other half.
        ranks: Rank of each row.
    """
    order = np.lexsort((ranks, second, first))
    new = np.ones(len(order), bool)
    new[1:] = (first[order[1:]] != first[order[:-1]]) | (second[order[1:]] != second[order[:-1]])
    survivors = ranks[order[np.flatnonzero(new)][np.cumsum(new) - 1]] if len(order) else ranks
    return ranks[order[~new]], survivors[~new]


def hashes_of(documents: Documents, settings: ExactSettings) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the halves of each rank's hash, and the bytes of its texts in normal form."""
    from steps.kernels.characters import characters, spaces
    from steps.kernels.normal import hash_documents

    lower = characters().lower
    n = len(documents)
    first, second, sizes = np.zeros(n, np.uint64), np.zeros(n, np.uint64), np.zeros(n, np.int64)

    def work(task: tuple[Segments, Integers]) -> None:
        each, rows = task
        hash_documents(*each.kernel_arguments, rows, each.roles, spaces(), lower, first, second, sizes)

    workers = Workers(settings.threads or cores())
    segments = documents.segments("whole" if settings.key == "conversation" else settings.key)
    workers.map(work, tasks(segments, None, PIECES_PER_THREAD * workers.n))
    return first, second, sizes
