"""Signals of an answer against the other rows of its set: what words, letters and subjects are usual there.

A rule with a fixed threshold holds for the source it was made on. What is unusual *here* carries over: a last word that
no other row knows, words in an order that nowhere occurs, letters that seldom follow each other, an answer whose words
fit other prompts better than its own. No label is read, and a text never counts as evidence for itself.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from steps.judging.defect_signals import FUNCTION_WORDS, Signal, last_words, words_of

if TYPE_CHECKING:
    import numpy as np

CONTEXT_SIGNALS = (
    Signal("unknown_words", "its words occur in other rows", "many of its words occur in no other row"),
    Signal("last_word_rows", "no other row has its last word", "its last word is a usual one"),
    Signal("last_word_ends", "its last word never ends a sentence or line", "its last word often ends one"),
    Signal("last_word_cut", "its last word is a whole one", "its last word is the beginning of a known one"),
    Signal("word_order", "its words stand in an unusual order", "its words stand in the usual order"),
    Signal("letter_pairs", "its letters follow each other oddly", "its letters follow each other as usual"),
    Signal("fits_prompt_words", "its words fit other prompts better", "its words fit its prompt best"),
)
COSINE_SIGNALS = (
    Signal("cosine", "its subject is far from the prompt's", "its subject is close to the prompt's"),
    Signal("fits_prompt", "its subject is closer to other prompts", "its subject is closest to its own prompt"),
    Signal("cosine_margin", "it is hardly nearer to its prompt than to others", "it is far nearer to its prompt"),
)
#: Prompts of other rows that an answer is compared with: enough for steps of 2 %.
_STRANGERS = 48
#: Evidence that a share of word pairs starts from, so that an answer of three words is not called disordered.
_PRIOR_PAIRS = 4.0
_USUAL_ORDER = 0.5


class Background(NamedTuple):
    """What is usual in a set of rows."""

    word_rows: Counter[str]
    """Rows whose answer has the word."""
    end_rows: Counter[str]
    """Rows whose answer has the word at the end of a sentence or line."""
    vocabulary: list[str]
    """The words, sorted."""
    pair_rows: Counter[tuple[str, str]]
    """Rows whose answer has the two words one after the other."""
    letters: Counter[str]
    """Pairs of neighbouring letters within words, over all answers."""
    firsts: Counter[str]
    """First letters of these pairs."""
    weight: dict[str, float]
    """Inverse document frequency of the words of prompts."""
    prompt_words: list[frozenset[str]]
    """Content words of each row's prompt."""
    strangers: list[int]
    """Rows whose prompts stand for other prompts: a seeded choice."""


def background(prompts: Sequence[str], answers: Sequence[str], seed: int) -> Background:
    """Count what is usual in these rows.

    Args:
        prompts: Of the rows.
        answers: Of the rows, in the same order.
        seed: Of the choice of prompts to compare with.
    """
    word_rows: Counter[str] = Counter()
    end_rows: Counter[str] = Counter()
    pair_rows: Counter[tuple[str, str]] = Counter()
    letters: Counter[str] = Counter()
    firsts: Counter[str] = Counter()
    for answer in answers:
        words = words_of(answer)
        word_rows.update(set(words))
        end_rows.update(set(last_words(answer)))
        pair_rows.update(set(pairwise(words)))
        for word, n in Counter(words).items():
            for left, right in pairwise(word):
                letters[left + right] += n
                firsts[left] += n
    asked = [frozenset(words_of(prompt)) - FUNCTION_WORDS for prompt in prompts]
    prompts_with = Counter(word for words in asked for word in words)
    weight = {word: math.log(1 + len(asked) / n) for word, n in prompts_with.items()}
    chosen = random.Random(f"strangers:{seed}").sample(range(len(asked)), min(_STRANGERS, len(asked)))
    return Background(word_rows, end_rows, sorted(word_rows), pair_rows, letters, firsts, weight, asked, sorted(chosen))


def measure_context(prompt: str, answer: str, own: str | None, usual: Background) -> list[float]:
    """Return one value per entry of `CONTEXT_SIGNALS`.

    Args:
        prompt: What was asked.
        answer: The answer, whole or broken.
        own: The answer of the set that it is or was made from, which does not count here; None where it is in none.
        usual: Of the set.
    """
    words = words_of(answer)
    own_words = words_of(own) if own is not None else []
    known, own_pairs = set(own_words), set(pairwise(own_words))
    others = {word: usual.word_rows[word] - (word in known) for word in set(words)}
    ordered = disordered = 0.0
    for left, right in pairwise(words):
        if left != right:
            ordered += math.log1p(usual.pair_rows[left, right] - ((left, right) in own_pairs))
            disordered += math.log1p(usual.pair_rows[right, left] - ((right, left) in own_pairs))
    return [
        sum(not others[word] for word in words) / len(words) if words else 0.0,
        math.log1p(others[words[-1]]) if words else 0.0,
        _ends(words[-1], others[words[-1]], own, usual) if words else 0.0,
        float(_is_cut(words[-1], known, usual)) if words and answer.rstrip()[-1].isalnum() else 0.0,
        (ordered - disordered + _PRIOR_PAIRS * _USUAL_ORDER) / (ordered + disordered + _PRIOR_PAIRS),
        _letter_pairs(words, usual),
        _fits_prompt_words(prompt, set(words), usual),
    ]


def _ends(word: str, n: int, own: str | None, usual: Background) -> float:
    """Return the log-odds that a row with this word has it at the end of a sentence or line."""
    ending = usual.end_rows[word] - (own is not None and word in last_words(own))
    return math.log((ending + 0.5) / (max(n - ending, 0) + 0.5))


def _is_cut(word: str, own: set[str], usual: Background) -> bool:
    """Return whether no other row knows the word, and one knows a word that begins with it."""
    if usual.word_rows[word] - (word in own) > 0:
        return False
    for longer in islice(usual.vocabulary, bisect_right(usual.vocabulary, word), None):
        if not longer.startswith(word):
            return False
        if usual.word_rows[longer] - (longer in own) > 0:
            return True
    return False


def _letter_pairs(words: list[str], usual: Background) -> float:
    """Return the mean logarithm of the probability of each letter given the one before it."""
    total, n = 0.0, 0
    for word in words:
        for left, right in pairwise(word):
            total += math.log((usual.letters[left + right] + 0.5) / (usual.firsts[left] + 20))
            n += 1
    return total / n if n else -3.0


def _fits_prompt_words(prompt: str, said: set[str], usual: Background) -> float:
    """Return the share of other prompts that share less with the answer than its own does (a tie is half)."""
    mine = frozenset(words_of(prompt)) - FUNCTION_WORDS
    best = _shared(mine, said, usual)
    beaten = n = 0.0
    for i in usual.strangers:
        if usual.prompt_words[i] != mine:
            other = _shared(usual.prompt_words[i], said, usual)
            beaten += 1.0 if best > other else 0.5 if best == other else 0.0
            n += 1
    return beaten / n if n else 0.5


def _shared(asked: frozenset[str], said: set[str], usual: Background) -> float:
    found = sum(usual.weight.get(word, 1.0) for word in sorted(asked & said))
    return found / math.sqrt(len(asked) + 1)


def cosine_signals(
    asked: np.ndarray[Any, Any], said: np.ndarray[Any, Any], strangers: np.ndarray[Any, Any]
) -> np.ndarray[Any, Any]:
    """Return one column per entry of `COSINE_SIGNALS`.

    Args:
        asked: Unit vector of each prompt, `[n, d]`.
        said: Of each answer, `[n, d]`.
        strangers: Of prompts of other rows, `[m, d]`.
    """
    import numpy as np

    own = np.einsum("ij,ij->i", asked, said)
    others = said @ strangers.T
    same = asked @ strangers.T > 0.999
    others = np.where(same, np.nan, others)
    n = np.maximum((~same).sum(axis=1), 1)
    rank = ((others < own[:, None]) & ~same).sum(axis=1) / n
    filled = np.where(same, own[:, None], others)
    margin = (own - filled.mean(axis=1)) / np.maximum(filled.std(axis=1), 0.02)
    return np.column_stack([own, rank, margin]).astype(np.float32)
