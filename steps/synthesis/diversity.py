"""How much the instructions of a data set vary: by their first words, their word pairs and their embeddings."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from random import Random
from typing import Any

import numpy as np

from steps.filtering.words import words
from steps.synthesis.synthesise import SpreadSettings, SynthesisSettings

#: Instructions are compared by their first words, as Self-Instruct does (Wang et al. 2023, arXiv:2212.10560, figure 3).
N_SHOWN_VERBS = 20
_FIRST_WORDS = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_QUESTION = frozenset(
    "what which who whom whose where when why how is are was were do does did can could should".split()
)
_POLITE = frozenset("please can could would you kindly i we need want to help me us give".split())


def share(part: float, whole: float) -> float | None:
    """Return a share, or None of nothing."""
    return part / whole if whole else None


def first_word(instruction: str) -> str:
    """Return what an instruction asks for: its verb, or the word of its question; empty without words.

    >>> [first_word(text) for text in ("Please explain how it works.", "How is it done?", "Can you list them?")]
    ['explain', 'how', 'list']
    """
    told: list[str] = [word.casefold() for word in _FIRST_WORDS.findall(instruction[:200])]
    bare = told
    while len(bare) > 1 and bare[0] in _POLITE:
        bare = bare[1:]
    if told and told[0] in _QUESTION and not (len(told) > 1 and told[1] in {"you", "i", "we"}):
        return told[0]
    return bare[0] if bare else ""


def entropy(counts: Mapping[str, int]) -> float:
    """Return the Shannon entropy of a distribution as a share of the most that so many rows could have, in [0, 1].

    >>> entropy({"a": 2, "b": 2}), entropy({"a": 4})
    (0.5, 0.0)
    """
    total = sum(counts.values())
    if total < 2:
        return 0.0
    return -sum(n / total * math.log(n / total) for n in counts.values()) / math.log(total) + 0.0


def diversity_of(asked: Sequence[str], settings: SynthesisSettings) -> dict[str, Any]:
    """Return what the instructions ask for first, how their words vary, and how far apart they are."""
    verbs = Counter(first_word(text) for text in asked)
    found: dict[str, Any] = {
        "n_first_words": len(verbs),
        "first_words": dict(verbs.most_common(N_SHOWN_VERBS)),
        "first_word_entropy": entropy(verbs),
        "distinct_word_share": _distinct_share(asked),
        "embedding_spread": None,
    }
    if settings.spread is not None and len(asked) > 1:
        found["embedding_spread"] = embedding_spread(asked, settings.spread, settings.seed)
    return found


def _distinct_share(asked: Sequence[str]) -> float | None:
    """Return distinct word pairs over all word pairs of the instructions (distinct-2, Li et al. 2016)."""
    pairs = [pair for text in asked for pair in _pairs(text)]
    return share(len(set(pairs)), len(pairs))


def _pairs(text: str) -> list[tuple[str, str]]:
    told = words(text.casefold())
    return list(pairwise(told))


def embedding_spread(asked: Sequence[str], settings: SpreadSettings, seed: int) -> dict[str, Any]:
    """Return the mean cosine distance between two instructions, and that to the nearest other one.

    The mean over all pairs is 1 - (|Σv|² - n) / (n (n - 1)) for unit vectors v, so that no pair needs to be formed.
    """
    from steps.judging.embedder import load_embedder

    sample = Random(f"{seed} spread").sample(list(asked), min(settings.max_rows, len(asked)))
    vectors = np.asarray(load_embedder(settings.embedder, settings.max_length_tokens)(sample), np.float64)
    n = len(vectors)
    mean_similarity = (float(np.square(vectors.sum(axis=0)).sum()) - n) / (n * (n - 1))
    nearest = []
    for start in range(0, n, 512):
        similar = vectors[start : start + 512] @ vectors.T
        similar[np.arange(len(similar)), start + np.arange(len(similar))] = -1.0
        nearest.append(similar.max(axis=1))
    return {
        "n_rows": n,
        "mean_distance": 1.0 - mean_similarity,
        "median_nearest_distance": 1.0 - float(np.median(np.concatenate(nearest))),
    }
