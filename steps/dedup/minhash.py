"""Near-duplicates: MinHash with banding proposes, the exact Jaccard similarity of the shingle sets decides.

Broder 1997, "On the resemblance and containment of documents"; banding: Leskovec, Rajaraman and Ullman, "Mining of
Massive Datasets", section 3.4. Unverified banding was measured to remove 40 % more than it should.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from pydantic import Field

from steps.dedup.documents import Document, Key
from steps.dedup.guards import answers_differ, numbers_differ
from steps.dedup.selection import Matches, Selection
from steps.dedup.shingles import Shingles, jaccard, shingles
from steps.filtering.words import words
from steps.progress import track
from steps.settings import Settings

#: Permutations of a signature. 125 make 25 bands of 5 rows, which propose 99.995 % of the pairs at a Jaccard of 0.8;
#: datasketch's own choice at that threshold (9 bands of 13) proposes 40 %.
NUM_PERMUTATIONS = 125
#: Share of pairs exactly at the threshold that the bands must propose.
MIN_RECALL = 0.999


class MinHashSettings(Settings):
    """How near-duplicates are found."""

    threshold: float = Field(0.8, ge=0.3, le=1)
    """Least Jaccard similarity of two duplicates' shingle sets. 0.8 as in Lee et al. 2022, "Deduplicating Training
    Data Makes Language Models Better", section 4.2."""

    shingle_words: int = Field(5, ge=1, le=50)
    """Words of a shingle. 5 as in Lee et al. 2022."""

    key: Key = "conversation"
    """What is compared: user and assistant turns, or one of the two. System turns never count."""

    min_answer_overlap: float | None = Field(0.5, ge=0, le=1)
    """Least Jaccard similarity of the answers' word sets: two questions about one long passage share most of their
    text and are no duplicates. None compares the key alone."""

    protect_numbers: bool = False
    """Never merge rows whose multisets of numbers differ."""

    seed: int = Field(1, ge=0)
    """Seed of the permutations."""

    max_drop_fraction: float = Field(0.9, ge=0, le=1)
    """Share of rows above which the run stops."""


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
    from datasketch import MinHashLSH

    def veto(row: int, other: int) -> str | None:
        reason = numbers_differ(documents[row], documents[other]) if settings.protect_numbers else None
        if reason is None and settings.min_answer_overlap is not None and settings.key == "conversation":
            reason = answers_differ(documents[row], documents[other], settings.min_answer_overlap)
        return reason

    selection = Selection(settings.threshold, veto)
    index = MinHashLSH(num_perm=NUM_PERMUTATIONS, params=bands_for(settings.threshold))
    kept: dict[int, Shingles] = {}
    sets = (shingles(words(document.text(settings.key)), settings.shingle_words) for document in documents)
    for row, (signature, grams) in enumerate(track(_signed(sets, settings.seed), "near-duplicates", len(documents))):
        if not len(grams):
            continue
        similar = [(other, jaccard(grams, kept[other])) for other in index.query(signature)]
        if selection.keeps(row, similar):
            kept[row] = grams
            index.insert(row, signature, check_duplication=False)
    return selection.matches()


def _signed(sets: Iterator[Shingles], seed: int) -> Iterator[tuple[object, Shingles]]:
    """Yield the MinHash of every shingle set; all share one set of permutations."""
    from datasketch import MinHash

    first = MinHash(num_perm=NUM_PERMUTATIONS, seed=seed, hashfunc=_low_32_bits, scheme="affine32")
    for grams in sets:
        signature = MinHash(
            num_perm=NUM_PERMUTATIONS,
            seed=seed,
            hashfunc=_low_32_bits,
            permutations=first.permutations,
            scheme="affine32",
        )
        signature.update_batch((grams & np.uint64(0xFFFFFFFF)).tolist())
        yield signature, grams


def _low_32_bits(value: int) -> int:
    return value  # The shingles are hashes already, and were cut to 32 bits in one go.
