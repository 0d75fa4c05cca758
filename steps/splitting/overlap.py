"""An index of texts that must not be trained on, searched by word n-grams over Arrow buffers.

Three measures, each blind where another sees:

- **exact**: the same words in the same order, whatever the case, spacing and punctuation.
- **n-grams**: the shared word 13-grams as a share of the shorter text's. 13-grams are those of Brown et al. 2020,
  "Language Models are Few-Shot Learners" (arXiv:2005.14165), appendix C, which also says that n-grams which occur in
  more than 10 training documents are boilerplate and tell nothing.
- **coverage**: the share of the protected text's words that stand in a shared 8-gram. 8-grams are those of Chowdhery
  et al. 2022, "PaLM" (arXiv:2204.02311), section 8, who call a row contaminated when 70 % of its 8-grams were seen.
  Counting words instead of n-grams is how Touvron et al. 2023, "Llama 2" (arXiv:2307.09288), appendix A.6, measure: an
  inserted word then costs a text one word and not eight n-grams. At 80 % they call a row dirty.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from steps.splitting.decontamination_settings import CoverageSettings, DecontaminationSettings
from steps.splitting.overlap_files import Level, StoredIndex, on_disk
from steps.splitting.texts import batches_of, hashed, normalised

if TYPE_CHECKING:
    from steps.kernels.ngrams import Words

__all__ = ["CoverageSettings", "DecontaminationSettings", "Found", "Overlap", "OverlapIndex", "overlap_index"]

#: N-grams of the index that are looked at together: their entries take some ten megabytes.
BLOCK_GRAMS = 1 << 20
#: Characters of the shared passage that a ledger row shows.
PASSAGE_CHARACTERS = 120

METHODS = ("exact", "ngrams", "coverage")


class Overlap(NamedTuple):
    """The indexed text that a searched text overlaps most, and the measure of the method that found it."""

    evidence_id: str
    ratio: float


class Found(NamedTuple):
    """What a search found, one entry per searched text.

    Attributes:
        texts: int64; the indexed text, or -1.
        scores: float64; the measure.
        methods: int64; position in `METHODS`.
        spans: Shape (texts, 2), int64; first word and end of the longest shared run in the indexed text.
    """

    texts: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]
    methods: npt.NDArray[np.int64]
    spans: npt.NDArray[np.int64]

    def at(self, places: npt.NDArray[np.int64]) -> Found:
        """Return what was found for some of the texts."""
        return Found(self.texts[places], self.scores[places], self.methods[places], self.spans[places])


class OverlapIndex:
    """Finds the indexed text that a text overlaps: first `learn` what is boilerplate, then `search`.

    Args:
        stored: The indexed texts with their n-grams, from memory or from disk.
        settings: The methods and their thresholds.
    """

    def __init__(self, stored: StoredIndex, settings: DecontaminationSettings) -> None:
        from steps.kernels.overlaps import buckets_of, sieve_of

        self.stored = stored
        self._settings = settings
        self._buckets = {n: buckets_of(level.grams) for n, level in stored.levels.items()}
        self._sieves = {n: sieve_of(level.grams) for n, level in stored.levels.items()}
        self._counts = {n: np.zeros(len(level.grams), np.int32) for n, level in stored.levels.items()}
        self._last = {n: np.full(len(level.grams), -1, np.int32) for n, level in stored.levels.items()}
        self._whole_counts = np.zeros(len(stored.wholes), np.int64)
        self._n_learnt = 0
        self._sizes: dict[str, npt.NDArray[np.int64]] | None = None

    def learn(self, words: Words) -> npt.NDArray[np.bool_]:
        """Count the indexed n-grams in texts that will be searched; return which texts have any at all."""
        from steps.kernels.overlaps import count_texts

        self._sizes = None
        n_texts = len(words.starts) - 1
        hits = np.zeros(n_texts, np.int64)
        for n, level in sorted(self.stored.levels.items()):
            # A text without a shared 8-gram has no shared 13-gram.
            chosen = hits > 0 if n > min(self.stored.levels) else np.ones(n_texts, np.bool_)
            own = np.zeros(int(chosen.sum()), np.int64)
            count_texts(
                *words.select(chosen).ngrams(n), self._n_learnt, level.grams, self._buckets[n], self._sieves[n],
                self._counts[n], self._last[n], own,
            )  # fmt: skip
            hits[chosen] += own
        self._n_learnt += n_texts
        places, equal = _places(words.wholes(), self.stored.wholes)
        np.add.at(self._whole_counts, places[equal], 1)
        return equal | (hits > 0)

    def search(self, words: Words) -> Found:
        """Return for each text the indexed text that it overlaps: by the first method that finds one."""
        from steps.kernels.overlaps import best_matches

        n_texts = len(words.starts) - 1
        found = Found(
            np.full(n_texts, -1, np.int64), np.ones(n_texts), np.zeros(n_texts, np.int64), np.zeros((n_texts, 2), int)
        )
        places, equal = _places(words.wholes(), self.stored.wholes)
        equal &= ~self._frequent(self._whole_counts)[places] if len(self.stored.wholes) else False
        found.texts[equal] = self.stored.whole_texts[places[equal]]
        for method, (n, least, sizes) in self._methods().items():
            level = self.stored.levels[n]
            texts, scores = np.empty(n_texts, np.int64), np.zeros(n_texts)
            spans = np.zeros((n_texts, 2), np.int64)
            best_matches(
                *words.ngrams(n), n, level.grams, self._buckets[n], level.entry_starts,
                level.entry_texts, level.entry_positions, self._frequent(self._counts[n]), sizes,
                method == "coverage", least, texts, scores, spans,
            )  # fmt: skip
            fresh = (found.texts < 0) & (texts >= 0)
            found.texts[fresh], found.scores[fresh], found.spans[fresh] = texts[fresh], scores[fresh], spans[fresh]
            found.methods[fresh] = METHODS.index(method)
        return found

    def find(self, text: str) -> Overlap | None:
        """Return the indexed text that overlaps most by the first method that finds one, or None.

        An equal text, after normalisation and without punctuation, overlaps by 1 at any length.
        """
        found = self.search(hashed(pa.array([text])))
        if found.texts[0] < 0:
            return None
        return Overlap(self.evidence_of(int(found.texts[0])), float(found.scores[0]))

    def evidence_of(self, text: int) -> str:
        """Return the id under which a text was indexed."""
        return str(self.stored.evidence[text].as_py())

    def passage_of(self, text: int, span: Iterable[int]) -> str:
        """Return the words `span` of an indexed text (its beginning where the span is empty), cut short."""
        from steps.kernels.ngrams import words_of

        first, end = span
        (column,) = normalised(self.stored.texts.slice(text, 1)).to_pylist()
        tokens = words_of(column.encode("utf-8", "surrogatepass"))
        passage = " ".join(tokens[first:end] if end > first else tokens)
        return passage if len(passage) <= PASSAGE_CHARACTERS else passage[: PASSAGE_CHARACTERS - 2] + " …"

    def _frequent(self, counts: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.bool_]:
        limit = self._settings.max_ngram_frequency
        return np.zeros(len(counts), np.bool_) if limit is None else counts > limit

    def _methods(self) -> dict[str, tuple[int, float, npt.NDArray[np.int64]]]:
        """Return of each n-gram method that is on: n, the least measure, and the telling size of each indexed text."""
        chosen = self._settings
        if self._sizes is None:
            self._sizes = {}
            if chosen.min_overlap is not None:
                self._sizes["ngrams"] = self._distinct_telling(chosen.ngram_words)
            if chosen.coverage is not None:
                self._sizes["coverage"] = self._words_telling(chosen.coverage.ngram_words)
        methods: dict[str, tuple[int, float, npt.NDArray[np.int64]]] = {}
        if chosen.min_overlap is not None:
            methods["ngrams"] = (chosen.ngram_words, chosen.min_overlap, self._sizes["ngrams"])
        if chosen.coverage is not None:
            methods["coverage"] = (chosen.coverage.ngram_words, chosen.coverage.min_coverage, self._sizes["coverage"])
        return methods

    def _distinct_telling(self, n: int) -> npt.NDArray[np.int64]:
        sizes = np.zeros(len(self.stored.texts), np.int64)
        for texts, _, telling, fresh in self._entries(n):
            sizes += np.bincount(texts[telling & fresh], minlength=len(sizes))
        return sizes

    def _words_telling(self, n: int) -> npt.NDArray[np.int64]:
        from steps.kernels.overlaps import count_telling_words

        n_texts = len(self.stored.texts)
        starts = np.zeros(n_texts + 1, np.int64)
        for texts, _, _, _ in self._entries(n):
            starts[1:] += np.bincount(texts, minlength=n_texts)
        np.cumsum(starts, out=starts)
        forward = np.zeros(int(starts[-1]), np.bool_)
        for texts, positions, telling, _ in self._entries(n):
            forward[starts[texts] + positions] = telling
        counted = np.zeros(n_texts, np.int64)
        count_telling_words(forward, starts, n, counted)
        return counted

    def _entries(self, n: int) -> Iterator[tuple[Any, Any, npt.NDArray[np.bool_], npt.NDArray[np.bool_]]]:
        """Yield some entries after the other: text, position, whether the n-gram is telling, and is new to its text."""
        level, frequent = self.stored.levels[n], self._frequent(self._counts[n])
        for start in range(0, len(level.grams), BLOCK_GRAMS):
            bounds = level.entry_starts[start : start + BLOCK_GRAMS + 1]
            texts = level.entry_texts[bounds[0] : bounds[-1]]
            repeats = np.diff(bounds)
            fresh = np.ones(len(texts), np.bool_)
            fresh[1:] = texts[1:] != texts[:-1]
            fresh[bounds[:-1] - bounds[0]] = True
            telling = np.repeat(~frequent[start : start + BLOCK_GRAMS], repeats)
            yield texts, level.entry_positions[bounds[0] : bounds[-1]], telling, fresh


def overlap_index(
    texts: Iterable[tuple[str, str]], settings: DecontaminationSettings, training_texts: Iterable[str] = ()
) -> OverlapIndex:
    """Index texts that must not be trained on, in memory.

    Args:
        texts: Evidence id and text; an id may come with several texts.
        settings: N-gram lengths, frequency limit, least overlaps.
        training_texts: The texts that will be searched, for telling boilerplate: what more than
            `max_ngram_frequency` of them hold is ignored.
    """
    pairs = list(texts)
    stored = build_index(
        pa.array([evidence for evidence, _ in pairs], pa.string()),
        pa.array([text for _, text in pairs], pa.string()),
        settings.ngram_sizes,
    )
    index = OverlapIndex(stored, settings)
    for batch in batches_of(pa.array(list(training_texts), pa.large_string())):
        index.learn(hashed(batch))
    return index


def build_index(evidence: pa.Array, texts: pa.Array, ngram_sizes: Iterable[int]) -> StoredIndex:
    """Index texts; those without a word are left out.

    Args:
        evidence: Id of each text; several texts may have the same.
        texts: The texts.
        ngram_sizes: Words of the n-grams to index.
    """
    words = hashed(texts)
    if (words.counts == 0).any():
        spoken = pa.array(words.counts > 0)
        return build_index(evidence.filter(spoken), texts.filter(spoken), ngram_sizes)
    wholes, whole_texts = np.unique(words.wholes(), return_index=True)
    levels = {n: _level(words, n) for n in sorted(set(ngram_sizes))}
    return StoredIndex(evidence, texts, wholes, whole_texts.astype(np.int64), levels)


def _level(words: Words, n: int) -> Level:
    grams, starts = words.ngrams(n)
    words.forget()
    texts = np.repeat(np.arange(len(starts) - 1, dtype=np.int32), np.diff(starts))
    positions = np.arange(len(grams), dtype=np.int64)
    positions -= np.repeat(starts[:-1], np.diff(starts))
    order = np.argsort(grams, kind="stable")
    entry_texts, entry_positions = on_disk(texts[order]), on_disk(positions.astype(np.int32)[order])
    del texts, positions
    ordered = grams[order]
    del grams, order
    first = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])[: len(ordered)])
    entry_starts = on_disk(np.append(first, len(ordered)).astype(np.int64))
    return Level(ordered[first], entry_starts, entry_texts, entry_positions)


def _places(
    wholes: npt.NDArray[np.uint64], indexed: npt.NDArray[np.uint64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return where each hash stands in the sorted index, and whether it does."""
    if not len(indexed):
        return np.zeros(len(wholes), np.int64), np.zeros(len(wholes), np.bool_)
    places = np.minimum(np.searchsorted(indexed, wholes), len(indexed) - 1)
    return places, indexed[places] == wholes
