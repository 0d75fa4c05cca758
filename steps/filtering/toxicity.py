"""Toxic words in answers: the user's lists, and a classifier of offensive English.

The classifier is alt-profanity-check (extra `toxicity`, MIT): a linear support vector machine over TF-IDF of words,
calibrated to probabilities, trained on 200,000 tweets and comments of the Hate-Speech and Toxic-Comment data sets. Its
weights are a joblib file of the library's own package, which the library loads itself. It scores sentence by sentence,
since one sentence drowns in a long answer. It knows words, not meaning: it is off until it is asked for, and rates
words of groups of people higher than others (Dixon et al. 2018, doi:10.1145/3278721.3278729).
"""

from __future__ import annotations

import importlib.util
import re
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from steps.filtering.batch import Batch, Outcome
from steps.filtering.candidates import Candidate, first_failures, matching_turns
from steps.filtering.row import Failure, FilterReason, excerpt
from steps.filtering.words import UNSPACED
from steps.settings import Settings

#: Where sentences end; RE2.
_SENTENCE_END = r"[.!?\n]+\s+"
_UNSPACED = re.compile(f"[{UNSPACED}]")
_WORD = re.compile(r"\w+")


class ToxicitySettings(Settings):
    """Which answers are toxic."""

    words: tuple[str, ...] = ()
    """Words and phrases of any language, compared without regard to case, between word boundaries where the script
    has such. There is no list of ours: which words a product must never say is for its owner to say."""

    max_probability: float | None = Field(0.97, ge=0, le=1)
    """Highest probability of the classifier in any sentence; None switches it off. Of 19,000 real answers (100,000
    sentences of GPTeacher, GSM8K, OpenAssistant, Tülu and others) one lies above 0.97, which says "kicks ass", three
    above 0.9, two of them harmless."""

    @model_validator(mode="after")
    def _is_usable(self) -> Self:
        blank = [number for number, word in enumerate(self.words) if not word.strip()]
        if blank:
            raise ValueError(f"words[{blank[0]}] is blank and would match every row; remove it")
        if self.max_probability is not None and importlib.util.find_spec("profanity_check") is None:
            raise ValueError(
                "max_probability needs alt-profanity-check, which is not installed; "
                "run pip install 'tunesmith[toxicity]', or set max_probability to null"
            )
        return self


def toxic(batch: Batch, settings: ToxicitySettings) -> Outcome:
    """Fail the rows with a toxic assistant turn; what the user wrote and the answer quotes does not count."""
    by_word = _toxic_words(batch, settings.words) if settings.words else ()
    if settings.max_probability is None:
        return Outcome(by_word)
    found = {failure.position for failure in by_word}
    by_sentence = [
        failure for failure in _toxic_sentences(batch, settings.max_probability) if failure.position not in found
    ]
    return Outcome([*by_word, *by_sentence])


def _toxic_words(batch: Batch, words: tuple[str, ...]) -> tuple[Failure, ...]:
    anywhere = "|".join(r"\s+".join(map(re.escape, word.split())) for word in words)
    pattern = re.compile("|".join(_bounded(word) for word in words), re.IGNORECASE)
    candidates = matching_turns(batch, anywhere, answers_only=True, ignore_case=True)
    prompts = _prompts(batch, [candidate.row for candidate in candidates])

    def defect(candidate: Candidate) -> Failure | None:
        for match in pattern.finditer(candidate.text):
            if match.group().lower() not in prompts[candidate.row]:
                around = candidate.text[max(0, match.start() - 30) : match.end() + 30]
                detail = f"{match.group()!r} in “{' '.join(around.split())}”"
                return Failure(candidate.row, FilterReason.TOXIC_WORDS, None, detail)
        return None

    return first_failures(candidates, defect)


def _toxic_sentences(batch: Batch, limit: float) -> list[Failure]:
    if not batch.n_rows:
        return []
    parts = pc.split_pattern_regex(batch.answers, pattern=_SENTENCE_END)
    rows = np.asarray(pc.list_parent_indices(parts), np.int64)
    sentences = pc.list_flatten(parts)
    scores = _probabilities(sentences)
    above = np.flatnonzero(scores > limit)
    texts = sentences.take(pa.array(above)).to_pylist()
    prompts = _prompts(batch, rows[above].tolist())
    own = [_without(text, prompts[row]) for text, row in zip(texts, rows[above].tolist(), strict=True)]
    still = _probabilities(pa.array(own, pa.string()))
    failures: dict[int, Failure] = {}
    for place, text, score in zip(above.tolist(), texts, still, strict=True):
        row = int(rows[place])
        if score > limit and row not in failures:
            detail = f"{score:.3f} > {limit:g}: {excerpt(text)}"
            failures[row] = Failure(row, FilterReason.TOXIC_LANGUAGE, float(score), detail)
    return list(failures.values())


def _probabilities(sentences: pa.Array) -> npt.NDArray[np.float64]:
    from profanity_check import predict_prob

    if not len(sentences):
        return np.zeros(0)
    return np.asarray(predict_prob(sentences.to_pylist()), np.float64)


def _without(sentence: str, prompt: str) -> str:
    """Return the words of a sentence that the prompt does not hold."""
    asked = set(_WORD.findall(prompt))
    return " ".join(word for word in _WORD.findall(sentence) if word.lower() not in asked)


def _prompts(batch: Batch, rows: list[int]) -> dict[int, str]:
    texts = pc.utf8_lower(batch.prompts.take(pa.array(rows, pa.int64()))).to_pylist()
    return dict(zip(rows, texts, strict=True))


def _bounded(phrase: str) -> str:
    parts = phrase.split()
    before = "" if _UNSPACED.match(parts[0][0]) or not parts[0][0].isalnum() else r"(?<!\w)"
    after = "" if _UNSPACED.match(parts[-1][-1]) or not parts[-1][-1].isalnum() else r"(?!\w)"
    return before + r"\s+".join(map(re.escape, parts)) + after
