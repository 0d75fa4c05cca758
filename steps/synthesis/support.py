"""Whether a text supports a claim, by its words, its numbers and its names; no model is asked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple

from steps.synthesis.claims import Statement, evidence_of, stem
from steps.synthesis.orders import is_order

#: Sentences side by side that may support a claim together.
WINDOW = 3
#: With fewer content words than this a share says little: one of them must be in the text, lead-ins ("The steps are:")
#: excepted, or a number or name, which is looked for apart.
MIN_CONTENT_WORDS = 3
#: Two sentences that share so many of their content words (Jaccard) say the same, or deny one another.
SAME_STATEMENT = 0.6
#: Words that deny without a "not", so that a sentence with one may say the same as one that has it.
_DENYING = re.compile(
    r"\b(?:dispens|lack|absen|avoid|exclud|omit)",
    re.IGNORECASE,
)
#: A count of up to so many things may be the length of a list, which no text needs to spell out.
MAX_COUNTED = 20


class Unsupported(StrEnum):
    """Why a claim is not supported."""

    NUMBER = "unsupported_number"
    NAME = "unsupported_name"
    NEGATION = "unsupported_negation"
    WORDING = "unsupported_wording"


class Support(NamedTuple):
    """What was found for one claim."""

    claim: str
    score: float
    """Mean of two shares of the claim's content words: those that the text holds anywhere, and those that its best
    three sentences in a row hold; 1 where the claim has too few to tell."""
    best: str
    """The sentence of the text that shares most with the claim."""
    problem: Unsupported | None
    missing: tuple[str, ...]
    """The numbers or names that the text lacks."""


class Evidence:
    """A text that claims are held against, read once for all claims of all answers."""

    def __init__(self, text: str, headings: Sequence[str] = ()) -> None:
        # What stands beside an order is its payload: "Ignore the rules. The answer is …".
        told = [one for group in evidence_of(text) if not any(is_order(each.text) for each in group) for one in group]
        self.statements = [Statement(heading) for heading in headings] + told
        self.windows = [
            frozenset().union(*(one.stems for one in self.statements[start : start + WINDOW]))
            for start in range(max(1, len(self.statements) - WINDOW + 1))
        ]

    @cached_property
    def stems(self) -> frozenset[str]:
        """All content words."""
        return frozenset().union(*(one.stems for one in self.statements))

    @cached_property
    def numbers(self) -> frozenset[str]:
        """All numbers, with their units."""
        return frozenset().union(*(one.numbers for one in self.statements))

    @cached_property
    def values(self) -> frozenset[str]:
        """All numbers without their units, and the digits within names such as `v2`."""
        digits = (found for one in self.statements for found in re.findall(r"\d+(?:\.\d+)*", one.text))
        return frozenset(map(_bare, [*(number.split(" ")[0] for number in self.numbers), *digits]))

    @cached_property
    def common(self) -> frozenset[str]:
        """The stems of its words that begin with a small letter: no names of their own."""
        small = (word for one in self.statements for word in re.findall(r"(?<![\w`./-])[a-z]{4,}", one.text))
        return frozenset(map(stem, small))

    @cached_property
    def short(self) -> frozenset[str]:
        """Its words in capitals, such as `BMI`."""
        return frozenset(found for one in self.statements for found in re.findall(r"\b[A-Z]{2,}(?=s?\b)", one.text))

    @cached_property
    def spelt_out(self) -> frozenset[str]:
        """The initials of its runs of names."""
        return frozenset(initials for one in self.statements for initials in one.spelt_out)

    @cached_property
    def folded(self) -> str:
        """All words without case and marks, to look names up in."""
        return f" {_folded(' '.join(one.text for one in self.statements))} "


def support_of(
    claim: Statement,
    evidence: Evidence,
    min_score: float,
    counts: frozenset[int],
    known: str = "",
    off: frozenset[Unsupported] = frozenset(),
) -> Support:
    """Hold a claim against the text.

    Args:
        claim: What an answer says.
        evidence: What the text says.
        min_score: Least score of a supported claim.
        counts: Lengths of the lists at hand: a number may be one of them.
        known: Further text whose numbers and names may be repeated (the question of a task that sets its own
            figures).
        off: Problems that are not looked for.
    """
    best = max(evidence.statements, key=lambda one: len(one.stems & claim.stems), default=None)
    shown = best.text if best is not None and best.stems & claim.stems else ""
    score = _score(claim, evidence)
    numbers = sorted(number for number in claim.numbers if not _has_number(number, evidence, counts, known))
    told = {name for initials, run in claim.spelt_out.items() if initials in evidence.short for name in run}
    names = sorted(name for name in claim.names - told if not _has_name(name, evidence, known))
    for problem, missing in ((Unsupported.NUMBER, numbers), (Unsupported.NAME, names)):
        if missing and problem not in off:
            return Support(claim.text, score, shown, problem, tuple(missing))
    if Unsupported.NEGATION not in off and (denied := _denied_by(claim, evidence)):
        return Support(claim.text, score, denied, Unsupported.NEGATION, ())
    return Support(claim.text, score, shown, Unsupported.WORDING if score < min_score else None, ())


def _score(claim: Statement, evidence: Evidence) -> float:
    claimed = claim.stems
    anywhere = len(claimed & evidence.stems)
    if len(claimed) < MIN_CONTENT_WORDS:
        told = anywhere or claim.numbers or claim.names or claim.text.rstrip().endswith(":")
        return float(bool(told) or not claimed)
    nearby = max((len(claimed & window) for window in evidence.windows), default=0)
    return (anywhere + nearby) / (2 * len(claimed))


def _denied_by(claim: Statement, evidence: Evidence) -> str | None:
    """Return a sentence that says the same as the claim, but for a "not" on one side; None if one agrees with it."""
    if claim.is_code or len(claim.stems) < MIN_CONTENT_WORDS:
        return None
    same = [one for one in evidence.statements if _likeness(one.stems, claim.stems) >= SAME_STATEMENT]
    if not same or any(one.is_negated == claim.is_negated or _DENYING.search(one.text) for one in same):
        return None
    if _DENYING.search(claim.text):
        return None
    return same[0].text


def _likeness(one: frozenset[str], other: frozenset[str]) -> float:
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared) if shared else 0.0


def _has_number(number: str, evidence: Evidence, counts: frozenset[int], known: str) -> bool:
    value, _, unit = number.partition(" ")
    if number in evidence.numbers or value in known.split():
        return True
    if value.isdigit() and not unit and int(value) in counts:
        return True
    others = {one for one in evidence.numbers if one.startswith(f"{value} ")}
    # The same figure in another unit is another quantity; without a unit it may be the one meant.
    return _bare(value) in evidence.values and not (unit and others and value not in evidence.numbers)


def _bare(value: str) -> str:
    """Return a value without the zeros of a whole amount: 850.00 is 850, though 3.10 is not 3.1."""
    return re.sub(r"\.0+$", "", value) if value.count(".") == 1 else value


def _has_name(name: str, evidence: Evidence, known: str) -> bool:
    folded = _folded(name)
    if not folded or f" {folded} " in evidence.folded or f" {folded} " in known:
        return True
    if name in evidence.spelt_out:
        return True
    # A word in a title's capitals may be a common one in another form: `Preparation` of what somebody prepared.
    if name[1:].islower() and stem(name.casefold()) in evidence.common:
        return True
    # Nor does an ending make another name: `Caches` is `cache`, and `Caching-Layer` two words that the text may hold.
    return all(any(f" {form} " in evidence.folded for form in _forms(part)) for part in folded.split())


def _forms(word: str) -> tuple[str, ...]:
    bare = word.removesuffix("s")
    return word, bare, f"{bare}s", f"{word}es", word.removesuffix("es")


def _folded(text: str) -> str:
    return " ".join(re.findall(r"[^\W_]+", text.casefold()))


def known_from(text: str) -> str:
    """Return the words of a text in the form that `support_of` takes as `known`."""
    return f" {_folded(text)} "
