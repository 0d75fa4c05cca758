"""The equations between numbers that a text shows, where they can be read in one way.

A line is cut into numbers, operators, parentheses, equals signs and the rest; from each equals sign the two sides are
read outwards, one token at a time, so that the time is linear in the text. A side is given up when what stands next
to it could change it: a variable, a function, a further factor, "million", a second number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from steps.filtering.calculator import MAX_TOKENS, NUMBER

_TOKEN = re.compile(
    rf"(?P<number>(?:[$€£¥]\s?)?{NUMBER}(?:\s?%)?)"
    r"|(?P<equals>=(?![=>])|≈|≃)"
    r"|(?P<operator>\*\*|[-+*/^×·⋅∙÷−–⁄])"
    r"|(?P<open>\()|(?P<close>\))"
    r"|(?P<word>[^\W\d]\w*)"
    r"|(?P<other>\S)"
)
_ABOUT_WORD = {"about", "approximately", "roughly", "around", "nearly", "almost"}
#: Words before a sum that it may belong to, and after a result that may change it.
_BINDS_BEFORE_TEXT = (
    "times plus minus of by over divided multiplied squared cubed mod modulo root log ln sin cos tan sqrt base half "
    "twice double triple and if third thirds quarter quarters fifth fifths frac cdot left"
)
_BINDS_BEFORE = set(_BINDS_BEFORE_TEXT.split())
_BINDS_AFTER_TEXT = (
    "thousand million billion trillion hundred hundreds dozen k m b mod modulo r rem remainder percent squared cubed "
    "times plus minus divided multiplied pi x"
)
_BINDS_AFTER = set(_BINDS_AFTER_TEXT.split())
_HALVES = frozenset({"a", "half", "one", "two", "three"})
#: Characters that may stand before a sum, or after a result, without changing it.
_ENDS_BEFORE = frozenset(".,:;!?\"“”‘’'`•—→⇒|>…#*")
_ENDS_AFTER = frozenset('.,:;!?"“”’`—→⇒|<…)]')


class Token(NamedTuple):
    """A piece of a line, with its place in it."""

    kind: str
    text: str
    start: int
    end: int


class Equation(NamedTuple):
    """Two sides and how they are said to be equal.

    Attributes:
        left: Expression before the equals sign.
        right: Expression after it.
        about: Whether the text says that they are equal only about.
        start: Where the left side begins in the text.
        end: Where the right side ends.
    """

    left: str
    right: str
    about: bool
    start: int
    end: int


def equations(text: str) -> Iterator[Equation]:
    """Yield the equations of a text, in order.

    >>> [(e.left, e.right) for e in equations("She has 3 x 4 = 12 - 2 = 10 apples, n + 1 = 3.")]
    [('3 x 4', '12 - 2'), ('12 - 2', '10')]
    """
    start = 0
    for line in text.split("\n"):
        if "=" in line or "≈" in line or "≃" in line:
            for found in _equations_of_line(line):
                yield found._replace(start=found.start + start, end=found.end + start)
        start += len(line) + 1


def _equations_of_line(line: str) -> Iterator[Equation]:
    tokens = _tokens(line)
    for place, token in enumerate(tokens):
        if token.kind != "equals":
            continue
        after, about = place + 1, token.text != "="
        while after < len(tokens) and (tokens[after].text.lower() in _ABOUT_WORD or tokens[after].text == "~"):
            after, about = after + 1, True
        first = _left_side(tokens, place)
        last = _right_side(tokens, after)
        if first is not None and last is not None and first < place and last >= after:
            left = line[tokens[first].start : tokens[place - 1].end]
            right = line[tokens[after].start : tokens[last].end]
            yield Equation(left, right, about, tokens[first].start, tokens[last].end)


def _tokens(line: str) -> list[Token]:
    tokens = [Token(match.lastgroup or "other", match.group(), *match.span()) for match in _TOKEN.finditer(line)]
    for place, token in enumerate(tokens[1:-1], start=1):
        # "3 x 4": a cross, where numbers stand on both sides.
        if (
            token.text in {"x", "X"}
            and tokens[place - 1].kind in _OPERAND_ENDS
            and tokens[place + 1].kind in _OPERAND_STARTS
        ):
            tokens[place] = token._replace(kind="operator")
    return tokens


_OPERAND_ENDS = frozenset({"number", "close"})
_OPERAND_STARTS = frozenset({"number", "open"})
_INSIDE = frozenset({"number", "operator", "open", "close"})


def _left_side(tokens: list[Token], equals: int) -> int | None:
    """Return the place of the first token of the side before an equals sign; None if it is not all there."""
    first, depth = equals, 0
    while first > 0 and tokens[first - 1].kind in _INSIDE and equals - first < MAX_TOKENS:
        token = tokens[first - 1]
        if token.kind in _OPERAND_ENDS and first < equals and tokens[first].kind in _OPERAND_STARTS:
            break  # two operands side by side: the end of something else, or a mixed number
        if token.kind == "open" and depth == 0:
            break  # it closes after the right side: (3 + 4 = 7)
        depth += {"close": 1, "open": -1}.get(token.kind, 0)
        first -= 1
    if depth or first == equals:
        return None
    if _is_emphasis(tokens, first):
        return first + 1
    return first if _may_begin(tokens, first) else None


def _is_emphasis(tokens: list[Token], first: int) -> bool:
    """Return whether the stars before a sum are bold type: `**2 + 2 = 4**`."""
    here, following = tokens[first], tokens[first + 1]
    before = tokens[first - 1] if first else None
    apart = before is None or before.end < here.start or before.text in _ENDS_BEFORE
    return here.text in {"**", "*"} and here.end == following.start and apart


def _may_begin(tokens: list[Token], first: int) -> bool:
    here = tokens[first]
    before = tokens[first - 1] if first else None
    if here.kind == "operator":
        return here.text in "-−" and (before is None or before.kind == "equals")
    if before is None or before.kind == "equals":
        return True
    apart = before.end < here.start
    if before.kind == "word":
        # "Week 2 = 35 + 35" names something; it does not say that 2 is 70.
        is_sum = tokens[first + 1].kind != "equals"
        return is_sum and apart and len(before.text) > 1 and before.text.lower() not in _BINDS_BEFORE
    if before.kind == "open":
        return (
            first < 2
            or tokens[first - 2].kind not in {"word", "number", "close"}
            or tokens[first - 2].end < before.start
        )
    if before.kind == "close":
        return apart and first == 2  # "2) 3 + 4 = 7" at the beginning of a line
    if before.kind != "other" or (first > 1 and tokens[first - 2].kind == "operator"):
        return False
    return before.text in _ENDS_BEFORE and (apart or before.text in '"“‘|•>:→⇒`*')


def _right_side(tokens: list[Token], start: int) -> int | None:
    """Return the place of the last token of the side that begins at `start`; None if it is not all there."""
    last, depth = start - 1, 0
    while last + 1 < len(tokens) and tokens[last + 1].kind in _INSIDE and last - start < MAX_TOKENS:
        token = tokens[last + 1]
        if last >= start and tokens[last].kind in _OPERAND_ENDS and token.kind in _OPERAND_STARTS:
            if token.kind == "open" and token.start > tokens[last].end:
                break  # a remark in parentheses after the result
            return None
        if token.kind == "close" and depth == 0:
            break
        depth += {"open": 1, "close": -1}.get(token.kind, 0)
        last += 1
    if depth:
        return None
    while last >= start and tokens[last].kind == "operator":
        if not _is_dash(tokens, last):
            return None
        last -= 1
    return last if last >= start and _may_end(tokens, last) else None


def _is_dash(tokens: list[Token], place: int) -> bool:
    """Return whether an operator after the last number is punctuation: a dash, or the end of bold type."""
    here = tokens[place]
    following = tokens[place + 1] if place + 1 < len(tokens) else None
    if here.text in {"**", "*"}:
        return here.start == tokens[place - 1].end and (
            following is None or following.start > here.end or following.kind == "other"
        )
    return (
        here.text in "-–−" and here.start > tokens[place - 1].end and (following is None or following.start > here.end)
    )


def _may_end(tokens: list[Token], last: int) -> bool:
    after = tokens[last + 1] if last + 1 < len(tokens) else None
    if after is None or after.kind in {"equals", "operator"}:
        return True
    apart = after.start > tokens[last].end
    following = tokens[last + 2] if last + 2 < len(tokens) else None
    if after.kind == "word":
        if after.text.lower() == "and" and following is not None and following.text.lower() in _HALVES:
            return False
        return apart and after.text.lower() not in _BINDS_AFTER and (len(after.text) > 1 or after.text in "aAI")
    if after.kind == "open":
        return following is None or following.text.lower() not in {"mod", "modulo", "base"}
    if after.kind == "close":
        return True
    closes = after.text in _ENDS_AFTER
    return closes and not (following is not None and following.kind == "number" and following.start == after.end)
