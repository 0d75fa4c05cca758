"""The same join by datasketch, in plain Python: what the compiled engine is compared with in tests.

About a hundred times slower; it shares the settings, the guards and the rule of selection, and nothing else: words come
from the regular expression, shingles from xxHash, signatures and banding from datasketch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from steps.dedup.documents import Document
from steps.dedup.guards import answers_differ, numbers_differ
from steps.dedup.selection import Matches, Selection
from steps.dedup.shingles import Shingles, jaccard, shingles
from steps.filtering.words import words
from steps.progress import track

if TYPE_CHECKING:
    from steps.dedup.minhash import MinHashSettings


def reference_duplicates(documents: Sequence[Document], settings: MinHashSettings, bands: tuple[int, int]) -> Matches:
    """Match each row that is a near-duplicate of a better, kept row with the most similar such row.

    Args:
        documents: Best row first. Documents without words match nothing.
        settings: Threshold, shingle size, key and guards.
        bands: Number of bands, and permutations of each.
    """
    from datasketch import MinHashLSH

    def veto(row: int, other: int) -> str | None:
        reason = numbers_differ(documents[row], documents[other]) if settings.protect_numbers else None
        if reason is None and settings.min_answer_overlap is not None and settings.key == "conversation":
            reason = answers_differ(documents[row], documents[other], settings.min_answer_overlap)
        return reason

    selection = Selection(settings.threshold, veto)
    index = MinHashLSH(num_perm=bands[0] * bands[1], params=bands)
    kept: dict[int, Shingles] = {}
    sets = (shingles(words(document.text(settings.key)), settings.shingle_words) for document in documents)
    signed = _signed(sets, bands[0] * bands[1], settings.seed)
    for row, (signature, grams) in enumerate(track(signed, "near-duplicates", len(documents))):
        if not len(grams):
            continue
        similar = [(other, jaccard(grams, kept[other])) for other in index.query(signature)]
        if selection.keeps(row, similar):
            kept[row] = grams
            index.insert(row, signature, check_duplication=False)
    return selection.matches()


def _signed(sets: Iterator[Shingles], n: int, seed: int) -> Iterator[tuple[object, Shingles]]:
    """Yield the MinHash of every shingle set; all share one set of permutations."""
    from datasketch import MinHash

    first = MinHash(num_perm=n, seed=seed, hashfunc=_low_32_bits, scheme="affine32")
    for grams in sets:
        signature = MinHash(
            num_perm=n, seed=seed, hashfunc=_low_32_bits, permutations=first.permutations, scheme="affine32"
        )
        signature.update_batch((grams & np.uint64(0xFFFFFFFF)).tolist())
        yield signature, grams


def _low_32_bits(value: int) -> int:
    return value  # The shingles are hashes already, and were cut to 32 bits in one go.
