"""Near-duplicates: MinHash with banding proposes, the exact Jaccard similarity of the shingle sets decides.

Broder 1997, "On the resemblance and containment of documents"; banding: Leskovec, Rajaraman and Ullman, "Mining of
Massive Datasets", section 3.4. Unverified banding was measured to remove 40 % more than it should.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from steps.dedup.candidates import Buckets, Workers, bands_in_common, cores, sets_of, signatures_of
from steps.dedup.documents import Document, Documents, Key
from steps.dedup.guards import answers_differ, numbers_differ, numbers_hash
from steps.dedup.index import Index, read_index
from steps.dedup.prefixes import prefixes_in_common
from steps.dedup.reference import reference_duplicates
from steps.dedup.segments import Segments
from steps.dedup.selection import N_SHOWN, Match, Matches, Pairs
from steps.settings import Settings

#: Permutations of a signature. 125 make 25 bands of 5 rows, which propose 99.995 % of the pairs at a Jaccard of 0.8;
#: datasketch's own choice at that threshold (9 bands of 13) proposes 40 %.
NUM_PERMUTATIONS = 125
#: Share of pairs exactly at the threshold that the bands must propose.
MIN_RECALL = 0.999
#: Pairs this far below the threshold are shown as borderline.
BORDER = 0.05


class MinHashSettings(Settings):
    """How near-duplicates are found."""

    threshold: float = Field(0.8, ge=0.3, le=1)
    """Least Jaccard similarity of two duplicates' shingle sets. 0.8 as in Lee et al. 2022, "Deduplicating Training
    Data Makes Language Models Better"."""

    shingle_words: int = Field(5, ge=1, le=50)
    """Words of a shingle. 5 as in Lee et al. 2022."""

    key: Key = "conversation"
    """What is compared: user and assistant turns, or one of the two. System turns never count."""

    method: Literal["minhash", "exact_join", "datasketch"] = "minhash"
    """How pairs are proposed: by bands of a MinHash, which miss at most one pair in a thousand at the threshold and
    none to speak of above it; by an exact join over rare shingles, which misses none and takes about three times as
    long; or by datasketch, the slow reference in Python."""

    index_path: str | None = None
    """File of an earlier corpus (`tunesmith index` writes it): rows that duplicate one of its rows are dropped too.
    None compares the rows of the run with one another only."""

    min_answer_overlap: float | None = Field(0.5, ge=0, le=1)
    """Least Jaccard similarity of the answers' word sets: two questions about one long passage share most of their
    text and are no duplicates. None compares the key alone."""

    protect_numbers: bool = False
    """Never merge rows whose multisets of numbers differ."""

    threads: int | None = Field(None, ge=1)
    """Threads of the compiled loops. None takes every core that the process may use. They change no result."""

    seed: int = Field(1, ge=0)
    """Seed of the permutations."""

    max_drop_fraction: float = Field(0.9, ge=0, le=1)
    """Share of rows above which the run stops."""

    @model_validator(mode="after")
    def _reference_has_no_index(self) -> Self:
        if self.method == "datasketch" and self.index_path is not None:
            raise ValueError("method=datasketch is a reference without index_path; set method to minhash or exact_join")
        return self


def bands_for(threshold: float) -> tuple[int, int]:
    """Return the number of bands and rows per band: as many rows as still propose `MIN_RECALL` at the threshold.

    >>> bands_for(0.8)
    (25, 5)
    """
    for rows in range(16, 1, -1):
        bands = NUM_PERMUTATIONS // rows
        if 1 - (1 - threshold**rows) ** bands >= MIN_RECALL:
            return bands, rows
    return NUM_PERMUTATIONS, 1


def near_duplicates(documents: Sequence[Document], settings: MinHashSettings) -> Matches:
    """Match each row that is a near-duplicate of a better, kept row with the most similar such row.

    Args:
        documents: Best row first. Documents without words match nothing.
        settings: Threshold, shingle size, key and guards.
    """
    if settings.method == "datasketch":
        return reference_duplicates(documents, settings, bands_for(settings.threshold))
    index = read_index(settings.index_path, settings) if settings.index_path else None
    return near_duplicates_of(Documents.of(documents), settings, index)


def near_duplicates_of(documents: Documents, settings: MinHashSettings, index: Index | None) -> Matches:
    """Match rows with better, kept rows of the same table and with the rows of an earlier corpus.

    Args:
        documents: Best row first.
        settings: Threshold, shingle size, key and guards.
        index: The earlier corpus, whose rows all stay. Matches name its rows by numbers below zero.
    """
    from steps.kernels.join import greedy

    every = documents if index is None else documents.behind(index.messages)
    if not len(every):
        return Matches([])
    workers = Workers(settings.threads or cores())
    segments = every.segments(settings.key)
    buckets = _propose(segments, len(every), settings, workers, index)
    wanted = buckets.candidates
    n_earlier, same_as = (0, np.zeros(0, np.int64)) if index is None else (len(index), index.same_as(documents.ids))
    places, sizes, sets = sets_of(segments, buckets.counts, wanted, settings.shingle_words, workers)
    found = Verdicts(
        *greedy(
            buckets.bounds, buckets.members, buckets.n, buckets.sketches, buckets.min_agreement, places, sizes, sets,
            settings.threshold, settings.threshold - BORDER,
            *_answers(every, wanted, settings, workers), numbers_of(every, wanted, settings),
            n_earlier, same_as,
        )
    )  # fmt: skip
    matches = matches_of(found, every, settings)
    return matches if index is None else _from_earlier(matches, index, same_as)


def _propose(
    segments: list[Segments], n: int, settings: MinHashSettings, workers: Workers, index: Index | None
) -> Buckets:
    """Return the buckets in which rows that are alike meet."""
    if settings.method == "exact_join":
        return prefixes_in_common(segments, n, settings.shingle_words, settings.threshold, workers)
    bands = bands_for(settings.threshold)
    fresh = segments if index is None else segments[index.n_batches :]
    signed = signatures_of(fresh, n, settings.shingle_words, bands, settings.seed, workers)
    if index is not None:
        signed = index.before(signed)
    return bands_in_common(
        signed, np.concatenate([each.ranks for each in segments]), bands, settings.threshold, workers
    )


class Verdicts(NamedTuple):
    """What the join decided (`steps.kernels.join.greedy`).

    Attributes:
        survivor: The row that each rank goes for, int64; -1 for a row that stays.
        best: Similarity to the survivor.
        nearest: The pairs nearest the threshold, nearest first: weight, rank, other, similarity; rank -1 is no pair.
        apart: The pairs that a guard kept apart, the most alike first.
        n_apart: How many of these there are.
    """

    survivor: npt.NDArray[np.int64]
    best: npt.NDArray[np.float64]
    nearest: npt.NDArray[np.float64]
    apart: npt.NDArray[np.float64]
    n_apart: int


def _from_earlier(matches: Matches, index: Index, same_as: npt.NDArray[np.int64]) -> Matches:
    """Number the rows of the run from zero again; those of the index become complements of their places.

    A row of the index that is in the run too, and stays, is that row, so that the groups of its copies merge with its.
    """
    n = len(index)
    names = np.concatenate([~np.arange(n), np.arange(len(same_as) - n)])
    own = np.setdiff1d(np.flatnonzero(same_as >= 0), Pairs.of(matches.duplicates).row)
    names[same_as[own]] = own - n

    def renamed(pairs: Pairs) -> Pairs:
        return Pairs(names[pairs.row], names[pairs.other], pairs.similarity)

    def named(listed: Sequence[Match]) -> list[Match]:
        return [new._replace(veto=old.veto) for old, new in zip(listed, renamed(Pairs.of(listed)), strict=True)]

    return Matches(
        renamed(Pairs.of(matches.duplicates)),
        named(matches.borderline),
        named(matches.vetoed),
        matches.n_vetoed,
        index,
    )


def _answers(
    documents: Documents, wanted: npt.NDArray[np.bool_], settings: MinHashSettings, workers: Workers
) -> tuple[Any, Any, Any, float]:
    """Return places, sizes and word sets of the answers, and their least overlap; empty when they are not compared."""
    if settings.min_answer_overlap is None or settings.key != "conversation":
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.uint64), 0.0
    return *sets_of(documents.segments("answer"), None, wanted, 1, workers), settings.min_answer_overlap


def numbers_of(documents: Documents, wanted: npt.NDArray[np.bool_], settings: MinHashSettings) -> npt.NDArray[np.int64]:
    """Return a hash of the numbers of each wanted row, by rank; empty when they are not compared."""
    if not settings.protect_numbers:
        return np.zeros(0, np.int64)
    hashes = np.zeros(len(documents), np.int64)
    for rank in np.flatnonzero(wanted).tolist():
        hashes[rank] = numbers_hash(documents[rank])
    return hashes


def matches_of(found: Verdicts, documents: Documents, settings: MinHashSettings) -> Matches:
    """Say what was decided, and why pairs were kept apart; reasons are worded for the pairs that are shown only."""
    rows = np.flatnonzero(found.survivor >= 0)
    nearest, apart = (Pairs(*top[top[:, 1] >= 0, 1:][:N_SHOWN].T) for top in (found.nearest, found.apart))
    return Matches(
        Pairs(rows, found.survivor[rows], found.best[rows]),
        list(nearest),
        [match._replace(veto=_reason(match, documents, settings)) for match in apart],
        int(found.n_apart),
    )


def _reason(match: Match, documents: Documents, settings: MinHashSettings) -> str | None:
    row, other = documents[match.row], documents[match.other]
    reason = numbers_differ(row, other) if settings.protect_numbers else None
    if reason is None and settings.min_answer_overlap is not None:
        reason = answers_differ(row, other, settings.min_answer_overlap)
    return reason
