"""The lexical guard: what tells two rows apart although their embeddings agree.

A sentence embedding hardly sees a changed number, a "not", or "after" in the place of "before". Each rule here names
such a difference. They err towards keeping rows apart: a duplicate that stays costs a little, a lost row is lost.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple, Protocol

from steps.dedup.documents import Document
from steps.dedup.opposites import conflict, poles
from steps.dedup.quantities import numbers
from steps.dedup.shingles import jaccard, shingles
from steps.filtering.words import words

PARTS = ("instruction", "answer")

#: "Not only" affirms.
_NEGATION = re.compile(
    r"\b(?:not(?! (?:only|just|merely)\b)|no|never|none|nobody|nothing|nowhere|neither|nor|without|cannot|except|"
    r"exclud(?:e|es|ed|ing)|unless|non|unable|hardly|barely|rarely|seldom|lack(?:s|ing)?|avoid(?:s|ed|ing)?|"
    r"fail(?:s|ed)? to|(?:do|does|did|is|are|was|were|ca|wo|could|should|would|has|have|had)nt)\b|n['’]t\b"
)
#: What is a name by its shape: a flag, a path, a dotted, snake_case or called name, an e-mail address. Texts are in
#: lower case here, so camelCase is not seen.
_IDENTIFIER = re.compile(
    r"(?<![\w-])--?[a-z][\w-]*"
    r"|(?<![\w/])\.{0,2}/[\w./-]*\w"
    r"|(?<!\w)[^\W\d]\w*(?:(?:\.|::|->|@)[^\W\d][\w-]*)+"
    r"|(?<!\w)[^\W\d]\w*(?=\(\))"
    r"|(?<!\w)(?:[^\W_]\w*_\w+|_\w+)"
)
_ABBREVIATIONS = {"e.g", "i.e", "a.m", "p.m", "u.s", "ph.d"}
_QUOTED = re.compile(
    r"\"([^\"\n]{1,80})\"|“([^”\n]{1,80})”|`([^`\n]{1,80})`|(?<!\w)['‘]([^'’\n]{1,80})['’](?!\w)"
    r"|«([^»\n]{1,80})»|„([^“”\n]{1,80})[“”]"
)
#: Values that templates swap: languages of both kinds. Names that are common words too (go, swift, polish) are left
#: out.
_LANGUAGES = re.compile(
    r"(?<![\w+#])(?:python|java|javascript|typescript|rust|golang|ruby|php|kotlin|scala|haskell|perl|matlab|julia|sql|"
    r"html|css|powershell|cobol|fortran|lua|elixir|c\+\+|c#|json|yaml|xml|csv|english|french|german|spanish|"
    r"italian|portuguese|dutch|russian|chinese|japanese|korean|arabic|hindi|turkish|swedish|greek|latin)(?![\w+#])"
)


class Protection(Protocol):
    """Which differences keep rows apart; see `SemanticSettings`."""

    @property
    def protect_numbers(self) -> bool: ...  # noqa: D102
    @property
    def protect_negations(self) -> bool: ...  # noqa: D102
    @property
    def protect_opposites(self) -> bool: ...  # noqa: D102
    @property
    def protect_names(self) -> bool: ...  # noqa: D102
    @property
    def min_answer_overlap(self) -> float | None: ...  # noqa: D102


class Poles(NamedTuple):
    """The poles of opposites that a text names, one bit a pair of opposites."""

    positive: int
    negative: int


class Features:
    """What the guard compares of a document; each is computed when it is first asked for."""

    def __init__(self, document: Document) -> None:
        self._texts = (document.instruction, document.answer)

    @cached_property
    def numbers(self) -> tuple[tuple[str, ...], ...]:
        """The sorted numbers of instruction and answer, repeats included."""
        return tuple(tuple(sorted(numbers(text))) for text in self._texts)

    @cached_property
    def negations(self) -> tuple[str | None, ...]:
        """The first negation of instruction and answer."""
        found = (_NEGATION.search(text) for text in self._texts)
        return tuple(match.group() if match else None for match in found)

    @cached_property
    def poles(self) -> tuple[Poles, ...]:
        """The poles that instruction and answer name."""
        return tuple(Poles(*poles(text)) for text in self._texts)

    @cached_property
    def names(self) -> frozenset[str]:
        """The identifiers and languages of the instruction; an answer's variables are incidental."""
        text = self._texts[0]
        found = {match.group().strip("-./") for match in _IDENTIFIER.finditer(text)} - _ABBREVIATIONS - {""}
        return frozenset(found | set(_LANGUAGES.findall(text)))

    @cached_property
    def quoted(self) -> frozenset[str]:
        """The words of the instruction's quoted strings."""
        strings = ("".join(groups) for groups in _QUOTED.findall(self._texts[0]))
        return frozenset(word for string in strings for word in words(string))

    @cached_property
    def asked(self) -> frozenset[str]:
        """The words of the instruction."""
        return frozenset(words(self._texts[0]))

    @property
    def answer(self) -> str:
        """The answer's text."""
        return self._texts[1]


def difference(left: Document, right: Document, settings: Protection) -> str | None:
    """Say what tells two documents apart; None if nothing that `settings` protects does.

    The compiled guard (`steps.kernels.projection.apart`) decides the same from the arrays of `steps.dedup.marks`;
    this function words the reason, and tests hold the two together.
    """
    return next(_differences(Features(left), Features(right), settings), None)


def _differences(left: Features, right: Features, settings: Protection) -> Iterator[str]:
    if settings.protect_numbers:
        yield from _numbers_differ(left, right)
    if settings.protect_negations:
        yield from _negations_differ(left, right)
    if settings.protect_opposites:
        for part, one, other in zip(PARTS, left.poles, right.poles, strict=True):
            if found := conflict(one, other):
                yield f"one {part} holds {found[0]!r} where the other holds {found[1]!r}"
    if settings.protect_names:
        yield from _names_differ(left, right)
    if settings.min_answer_overlap is not None:
        overlap = word_overlap(left.answer, right.answer)
        if overlap < settings.min_answer_overlap:
            yield f"answers share {overlap:.2f} of their words"


def _numbers_differ(left: Features, right: Features) -> Iterator[str]:
    for part, ours, theirs in zip(PARTS, left.numbers, right.numbers, strict=True):
        if ours != theirs:
            one, other = Counter(ours), Counter(theirs)
            only = sorted(((one - other) + (other - one)).elements())
            yield f"numbers differ in the {part}: {', '.join(only[:5])}"


def _negations_differ(left: Features, right: Features) -> Iterator[str]:
    for part, ours, theirs in zip(PARTS, left.negations, right.negations, strict=True):
        if (ours is None) != (theirs is None):
            yield f"only one {part} holds {ours or theirs!r}"


def _names_differ(left: Features, right: Features) -> Iterator[str]:
    if left.names != right.names:
        yield f"names differ in the instruction: {', '.join(sorted(left.names ^ right.names)[:5])}"
    missing = (left.quoted - right.asked) | (right.quoted - left.asked)
    if missing:
        yield f"only one instruction holds the quoted {', '.join(sorted(missing)[:5])}"


def word_overlap(left: str, right: str) -> float:
    """Return the Jaccard similarity of two texts' word sets; equal texts share all, also when they are empty."""
    if left == right:
        return 1.0
    return jaccard(shingles(words(left), 1), shingles(words(right), 1))
