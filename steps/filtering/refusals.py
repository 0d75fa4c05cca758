"""Refusals and the boilerplate of AI assistants.

Patterns are anchored: at the beginning of an answer for refusals, at whole telling phrases for boilerplate. A mere
"sorry" or "cannot" is not evidence, since letters, stories and error messages hold both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Self

import numpy as np
import pyarrow as pa
from pydantic import model_validator

from steps.filtering.batch import Batch, Outcome
from steps.filtering.patterns import may_match
from steps.filtering.row import Failure, FilterReason, excerpt
from steps.settings import Settings

_APOLOGY = (
    r"(?:(?:oh|hmm|unfortunately)[,.]?\s+)?"
    r"(?:(?:i['’]?m|i am|we['’]?re|we are)\s+(?:(?:very|so|really|deeply|truly)\s+)?sorry|sorry|"
    r"(?:i|we)\s+apologi[sz]e|my apologies|apologies|unfortunately)"
    r"(?:\s+for (?:the|any) (?:confusion|inconvenience|misunderstanding))?"
)
_UNABLE = (
    r"(?:i|we)(?:['’]?m|\s+am|['’]?re|\s+are)\s+(?:not able|unable|not capable|not allowed|not permitted)\s+(?:to|of)"
    r"|(?:i|we)\s+(?:can['’]?t|can ?not|could not|couldn['’]t|won['’]?t|will not|must decline|have to decline)"
    r"(?:\s+to)?"
)
#: What an assistant refuses to do. Verbs of a story ("come", "love", "stay") are left out on purpose.
_SERVICE = (
    r"(?:assist(?:ing)?|help(?:ing)?|fulfil+|comply|provid(?:e|ing)|generat(?:e|ing)|answer(?:ing)?|creat(?:e|ing)|"
    r"writ(?:e|ing)|access(?:ing)?|brows(?:e|ing)|process(?:ing)?|complet(?:e|ing)|support(?:ing)?|discuss(?:ing)?|"
    r"engag(?:e|ing)|respond(?:ing)?|perform(?:ing)?|offer(?:ing)?|produc(?:e|ing)|display(?:ing)?|view(?:ing)?|"
    r"open(?:ing)?|execut(?:e|ing)|determin(?:e|ing)|translat(?:e|ing)|summari[sz](?:e|ing)|do that|do this)"
)
_ADVERBS = r"(?:\s+(?:currently|directly|actually|physically|really|yet|just|ethically|simply|also))*"

REFUSAL = re.compile(
    rf"\A\W*(?:{_APOLOGY}[,.:;!]?\s+(?:(?:but|that)\s+)?(?:as\s+[^.]{{1,60}},\s+)?)?(?:{_UNABLE}){_ADVERBS}\s+{_SERVICE}\b",
    re.IGNORECASE,
)

#: An assistant that speaks of itself, wherever it does so.
BOILERPLATE = re.compile(
    r"\bas an? (?:ai|artificial intelligence|large)[ -](?:language )?(?:model|assistant|chatbot)\b[^.!?\n]{0,40}?"
    r"\b(?:i|my)\b"
    r"|\bas an? (?:ai|large) language model\b"
    r"|\b(?:i['’]?m|i am) (?:just |only |merely )?an? (?:ai|large) language model\b"
    r"|\b(?:my|the) (?:knowledge|training)(?: data)? cut[- ]?off\b[^.!?\n]{0,30}\b(?:is|was|in|date)\b"
    r"|\b(?:i|my) (?:was )?(?:trained|developed|created|made) by (?:openai|anthropic|google|meta)\b"
    r"|\bi (?:do not|don['’]t) have (?:access to )?(?:real-time (?:data|information)|personal (?:opinions|beliefs|"
    r"experiences))\b"
    r"|\bregenerate response\b",
    re.IGNORECASE,
)


class RefusalSettings(Settings):
    """Which answers count as refused. The built-in patterns are English."""

    drop_refusals: bool = True
    """Drop rows with an assistant turn that begins by refusing to help. Switch it off for safety training data."""

    drop_boilerplate: bool = True
    """Drop rows with an assistant turn in which a model speaks of itself as one."""

    more_patterns: tuple[str, ...] = ()
    """Further regular expressions, searched in every assistant turn without regard to case; for other languages."""

    @model_validator(mode="after")
    def _compiles(self) -> Self:
        for number, pattern in enumerate(self.more_patterns):
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"more_patterns[{number}]={pattern!r} is no regular expression: {error}") from error
        return self


def refused(batch: Batch, settings: RefusalSettings) -> Outcome:
    """Find the rows in which the assistant refuses or speaks of itself; `detail` quotes it."""
    checks = [(re.compile(pattern, re.IGNORECASE), FilterReason.REFUSAL) for pattern in settings.more_patterns]
    if settings.drop_refusals:
        checks.append((REFUSAL, FilterReason.REFUSAL))
    if settings.drop_boilerplate:
        checks.append((BOILERPLATE, FilterReason.AI_BOILERPLATE))
    return Outcome(list(_first_matches(batch, checks)))


def _first_matches(batch: Batch, checks: list[tuple[re.Pattern[str], FilterReason]]) -> Iterator[Failure]:
    turns = np.flatnonzero(batch.is_answer)
    answers = batch.contents.take(pa.array(turns))
    candidates = [may_match(answers, pattern) for pattern, _ in checks]
    failed = -1
    for number in np.flatnonzero(np.logical_or.reduce(candidates)).tolist() if checks else ():
        row = int(batch.turn_rows[turns[number]])
        if row == failed:
            continue
        answer = answers[number].as_py()
        prompt = batch.prompts[row].as_py().lower()
        for (pattern, reason), candidate in zip(checks, candidates, strict=True):
            match = pattern.search(answer) if candidate[number] else None
            # Words that the user gave are quoted: "count the vowels of 'I am an AI language model'".
            if match and match.group().lower() not in prompt:
                yield Failure(row, reason, None, excerpt(answer[match.start() :], 120))
                failed = row
                break
