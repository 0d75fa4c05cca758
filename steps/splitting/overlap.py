"""An index of texts that must not be trained on, searched by word n-grams.

The method is that of Brown et al. 2020, "Language Models are Few-Shot Learners" (arXiv:2005.14165), appendix C: word
13-grams, of which those that occur in more than 10 training documents are boilerplate and tell nothing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from pydantic import Field

from steps.dedup.shingles import Shingles, shingles
from steps.filtering.words import normalise, words
from steps.settings import Settings


class DecontaminationSettings(Settings):
    """What counts as an overlap with the test split or a benchmark."""

    ngram_words: int = Field(13, ge=3, le=50)
    """Words of an n-gram. 13 as in Brown et al. 2020. Shorter texts are compared as a whole."""

    max_ngram_frequency: int | None = Field(10, ge=1)
    """N-grams, and short texts, that occur in more training texts than this are boilerplate and ignored. 10 as in
    Brown et al. 2020. None ignores nothing."""

    min_overlap: float = Field(0.4, gt=0, le=1)
    """Least share of telling n-grams that two texts have in common, of the shorter text's. On GPTeacher's code, pairs
    below 0.4 are mostly the same idiom for another task; on GSM8K, pairs above it are one problem with new numbers."""

    benchmark_paths: tuple[str, ...] = ()
    """JSONL files (every text of every row) or text files (every line) that training must not have seen."""

    max_drop_fraction: float = Field(0.2, ge=0, le=1)
    """Share of rows above which the run stops."""


class Overlap(NamedTuple):
    """The indexed text that a searched text overlaps most, and the share of the shorter text's n-grams they share."""

    evidence_id: str
    ratio: float


class OverlapIndex:
    """Finds the indexed text that a text overlaps. Build it with `overlap_index`."""

    def __init__(self, settings: DecontaminationSettings) -> None:
        self._settings = settings
        self._whole: dict[str, str] = {}
        self._sizes: dict[tuple[str, int], int] = {}
        self._entries: dict[int, list[tuple[str, int]]] = defaultdict(list)
        self._frequent: set[int] = set()
        self._frequent_whole: set[str] = set()

    def add(self, evidence_id: str, text: str) -> None:
        """Index a text under the id that `find` shall name."""
        tokens = words(normalise(text))
        if not tokens:
            return
        self._whole.setdefault(" ".join(tokens), evidence_id)
        if len(tokens) < self._settings.ngram_words:
            return
        grams = shingles(tokens, self._settings.ngram_words).tolist()
        entry = (evidence_id, len(self._sizes))
        self._sizes[entry] = len(grams)
        for gram in grams:
            self._entries[gram].append(entry)

    def ignore_boilerplate(self, training_texts: Iterable[str]) -> None:
        """Ignore the n-grams and whole texts that occur in more than `max_ngram_frequency` of the texts."""
        limit = self._settings.max_ngram_frequency
        if limit is None or not self._whole:
            return
        grams: Counter[int] = Counter()
        whole: Counter[str] = Counter()
        for text in training_texts:
            tokens = words(normalise(text))
            grams.update(gram for gram in self._grams(tokens).tolist() if gram in self._entries)
            joined = " ".join(tokens)
            if joined in self._whole:
                whole[joined] += 1
        self._frequent = {gram for gram, count in grams.items() if count > limit}
        self._frequent_whole = {text for text, count in whole.items() if count > limit}
        for gram in self._frequent:
            for entry in self._entries[gram]:
                self._sizes[entry] -= 1

    def find(self, text: str) -> Overlap | None:
        """Return the indexed text that overlaps most, or None below `min_overlap`.

        An equal text, after normalisation and without punctuation, overlaps by 1 at any length.
        """
        if not self._whole:
            return None
        tokens = words(normalise(text))
        joined = " ".join(tokens)
        if joined in self._whole and joined not in self._frequent_whole:
            return Overlap(self._whole[joined], 1.0)
        telling = [gram for gram in self._grams(tokens).tolist() if gram not in self._frequent]
        shared: Counter[tuple[str, int]] = Counter()
        for gram in telling:
            shared.update(self._entries.get(gram, ()))
        best: Overlap | None = None
        for entry, count in sorted(shared.items(), key=lambda item: item[0][1]):
            ratio = count / min(len(telling), self._sizes[entry])
            if ratio >= self._settings.min_overlap and (best is None or ratio > best.ratio):
                best = Overlap(entry[0], ratio)
        return best

    def _grams(self, tokens: list[str]) -> Shingles:
        n = self._settings.ngram_words
        return shingles(tokens if len(tokens) >= n else (), n)


def overlap_index(
    texts: Iterable[tuple[str, str]], settings: DecontaminationSettings, training_texts: Iterable[str] = ()
) -> OverlapIndex:
    """Index texts that must not be trained on.

    Args:
        texts: Evidence id and text; an id may come with several texts.
        settings: N-gram length, frequency limit, least overlap.
        training_texts: The texts that will be searched, for telling boilerplate: what more than
            `max_ngram_frequency` of them hold is ignored.
    """
    index = OverlapIndex(settings)
    for evidence_id, text in texts:
        index.add(evidence_id, text)
    index.ignore_boilerplate(training_texts)
    return index
