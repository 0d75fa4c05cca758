"""Verifiable answers: the sums that an answer shows are worked out again.

Three forms are read: equations (`12 * 4 = 48`, also chains `2 * 3 + 4 = 6 + 4 = 10`), the calculator annotations of
GSM8K (`<<48/2=24>>24`; Cobbe et al. 2021, arXiv:2110.14168), and parts of a number (`3/4 of 20 is 15`).
A sum is only called wrong when it can be read in one way: not inside of code, not next to a variable or an operator
that could change it, not when the user wrote it, not when the sentence calls it wrong itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from itertools import product
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from steps.filtering.batch import Batch, Outcome
from steps.filtering.calculator import NUMBER, NotArithmeticError, Value, evaluate
from steps.filtering.candidates import Candidate, chosen_turns, first_failures
from steps.filtering.equations import equations
from steps.filtering.markdown_blocks import without_fences
from steps.filtering.row import Failure, FilterReason
from steps.settings import Settings

#: Turns without this hold no sum; RE2.
CANDIDATE = r"[\d)%]\s*(?:=|≈|≃|\\approx)|\d%?\s+of\s+[$€£]?\d"

_ANNOTATION = re.compile(r"<<([^<>=]{1,120})=([^<>=]{1,40})>>")
_PART = re.compile(
    rf"(?<![\w.,/])(?<![-+*/×] )(?P<part>{NUMBER}\s?%|\d+/\d+)\s+of\s+[$€£¥]?(?P<whole>{NUMBER})(?!\s?%)\s+"
    rf"(?:is|equals|=)\s+[$€£¥]?(?P<result>{NUMBER})(?=[.,;!?)]?(?:\s|$))(?!\s+(?:thousand|million|billion|percent|more|less|of|times)\b"
    r"|\s*[-+*/×])"
)
#: The sentence itself says that the sum does not hold, or counts in another way.
_DENIED = re.compile(
    r"\b(?:incorrect|wrong|false|mistaken?|erroneous|error|not equal|does not|doesn't|isn't|is not|instead of|"
    r"rather than|suppose|binary|hexadecimal|octal|base[- ]?\d+|mod|modulo|concatenat\w*|"
    r"thousands?|millions?|billions?|pattern|puzzle|riddle)\b",
    re.IGNORECASE,
)
#: A time of the day, or a number with leading zeros: `0930`.
_OTHER_NUMBERS = re.compile(r"(?<![\d.,])0\d")
_BINARY = re.compile(r"[01]+")
#: `Weeks 1-2 = 70`
_RANGE = re.compile(r"\A(\d+)[-–](\d+)\Z")
_LOOSE_DIVISION = re.compile(r"[/÷]\s*(\d+\s?/\s?\d+)")
_SENTENCE_END = re.compile(r"[.!?](?=\s)|\n")
#: Characters of a sentence looked at on each side of a sum.
SENTENCE = 300


class ArithmeticSettings(Settings):
    """Which sums are worked out."""

    check_equations: bool = True
    """Equations between numbers in the text."""

    check_annotations: bool = True
    """GSM8K's calculator annotations, `<<48/2=24>>`."""

    check_parts: bool = True
    """`3/4 of 20 is 15`, `20% of 50 = 10`."""

    relative_tolerance: float = Field(0.0, ge=0, lt=1)
    """Share of the true value that a result may be off, beyond the rounding that its decimals show."""

    approximate_tolerance: float = Field(0.05, ge=0, lt=1)
    """The same where the answer says "about" or writes ≈."""


class WrongSum(NamedTuple):
    """A sum that does not hold: as it was written, and what it comes to."""

    written: str
    value: Fraction

    def __str__(self) -> str:
        exact = self.value.denominator == 1
        is_ = str(self.value) if exact else f"{float(self.value):.6g}"
        return f"{' '.join(self.written.split())}, is {is_}"


def wrong_arithmetic(batch: Batch, settings: ArithmeticSettings) -> Outcome:
    """Fail the rows with an assistant turn that shows a wrong sum; `detail` shows it and the right result."""
    chosen = pc.match_substring_regex(batch.contents, pattern=CANDIDATE)
    candidates = chosen_turns(batch, chosen, answers_only=True)
    rows = pa.array([candidate.row for candidate in candidates], pa.int64())
    prompts = dict(zip(rows.to_pylist(), batch.prompts.take(rows).to_pylist(), strict=True))

    def defect(candidate: Candidate) -> Failure | None:
        asked = _squeezed(prompts[candidate.row])
        for wrong in wrong_sums(candidate.text, settings):
            if _squeezed(wrong.written) not in asked:  # else the user wrote it
                return Failure(candidate.row, FilterReason.WRONG_ARITHMETIC, float(wrong.value), str(wrong))
        return None

    return Outcome(first_failures(candidates, defect))


def wrong_sums(text: str, settings: ArithmeticSettings) -> Iterator[WrongSum]:
    """Yield the sums of a text that do not hold.

    >>> [str(wrong) for wrong in wrong_sums("So 12*4 = 46 and 10/3 = 3.33.", ArithmeticSettings())]
    ['12*4 = 46, is 48']
    """
    if settings.check_annotations and "<<" in text:
        for match in _ANNOTATION.finditer(text):
            wrong = _compared(match[1], match[2], settings, about=False, written=match[0])
            if wrong:
                yield wrong
    prose = without_fences(_ANNOTATION.sub("", text))
    if settings.check_equations:
        for found in equations(prose):
            written = prose[found.start : found.end]
            wrong = _compared(found.left, found.right, settings, about=found.about, written=written)
            if wrong and not _denied(prose, found.start, found.end):
                yield wrong
    if settings.check_parts:
        for match in _PART.finditer(prose):
            left = f"({match['part']}) * {match['whole']}"
            wrong = _compared(left, match["result"], settings, about=False, written=match[0])
            if wrong and not _denied(prose, *match.span()):
                yield wrong


def _denied(prose: str, start: int, end: int) -> bool:
    before = prose[max(0, start - SENTENCE) : start]
    begin = max((found.end() for found in _SENTENCE_END.finditer(before)), default=0)
    after = prose[end : end + SENTENCE]
    stop = _SENTENCE_END.search(after)
    return bool(_DENIED.search(before[begin:] + " " + (after[: stop.start()] if stop else after)))


def _compared(left: str, right: str, settings: ArithmeticSettings, *, about: bool, written: str) -> WrongSum | None:
    """Return the sum if no reading of its two sides makes them equal."""
    percent = "%" in left + right
    if (percent and re.search(r"[-+−–]", left + right)) or _OTHER_NUMBERS.search(left + right):
        return None  # 50 + 10%: of what?
    span = _RANGE.match(left)
    if span and int(span[1]) < int(span[2]):
        return None
    tolerance = settings.approximate_tolerance if about else settings.relative_tolerance
    first: Value | None = None
    try:
        for hundredths in product((True, False) if percent else (True,), repeat=2):
            one = evaluate(left, percent_is_hundredth=hundredths[0])
            other = evaluate(right, percent_is_hundredth=hundredths[1])
            if not one.n_operators and not other.n_operators and not written.startswith("<<"):
                return None  # "x = 3 = 4" names a number twice
            if _equal(one, other, tolerance) or _equal(other, one, tolerance) or _goes_on(one, right):
                return None
            first = first or (other if other.n_operators > one.n_operators == 0 else one)
        if any(_equal(one, other, tolerance) for one, other in _other_readings(left, right)):
            return None
    except NotArithmeticError:
        return None
    return None if first is None else WrongSum(written, first.exact)


def _other_readings(left: str, right: str) -> Iterator[tuple[Value, Value]]:
    """Yield what loose notation may mean: `25 / 1/3` divides by a third; `$1 / 2 = 50` is in cents; binary."""
    if not re.search(r"[2-9.,%$€£]", left + right):
        yield evaluate(_from_binary(left)), evaluate(_from_binary(right))
    for one, other in product(_divided_by_fractions(left), _divided_by_fractions(right)):
        yield evaluate(one), evaluate(other)
        if "$" in left + right or "€" in left + right:
            yield evaluate(f"({one}) * 100"), evaluate(other)
            yield evaluate(f"({one}) / 100"), evaluate(other)


def _from_binary(side: str) -> str:
    return _BINARY.sub(lambda number: str(int(number[0], 2)), side)


def _divided_by_fractions(side: str) -> tuple[str, ...]:
    whole = _LOOSE_DIVISION.sub(r"/ (\1)", side)
    return (side,) if whole == side else (side, whole)


def _goes_on(left: Value, right: str) -> bool:
    """Return whether the right side begins with the result and computes on: `5 * 3 = 15 - 2 = 13`."""
    first = re.match(rf"[$€£¥]?\s?({NUMBER})\s*[-+*/^×·÷−–xX]", right)
    return first is not None and left.n_operators > 0 and Fraction(first[1].replace(",", "")) == left.exact


def _equal(sum_: Value, result: Value, tolerance: float) -> bool:
    """Return whether `result` is the value of `sum_`, rounded to the decimals that it shows, up or down."""
    difference = abs(sum_.exact - result.exact)
    is_rounded = result.n_operators == 0 and (sum_.divides or result.n_decimals > 0)
    if is_rounded and difference < Fraction(1, 10**result.n_decimals):  # up, down, or cut off
        return True
    return difference <= Fraction(tolerance).limit_denominator(10**6) * abs(sum_.exact)


def _squeezed(text: str) -> str:
    return "".join(text.split())
