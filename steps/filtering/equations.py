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
    "day week month year twice double triple and if third thirds quarter quarters fifth fifths frac cdot left"
)
_BINDS_BEFORE = set(_BINDS_BEFORE_TEXT.split())
_BINDS_AFTER_TEXT = (
    "thousand million billion trillion hundred hundreds dozen k m b mod modulo r rem remainder percent squared cubed "
    "times plus minus divided multiplied pi x"
)
_BINDS_AFTER = set(_BINDS_AFTER_TEXT.split())
#: Words that are no unit: they begin another clause.
_NO_UNIT_TEXT = (
    "because is are was were be so then or since for which that he she they it we you as but when while if than to at "
    "on in with from per each every has have had will would there this these those his her their its make makes gives "
    "equals not all more less"
)
_NO_UNIT = frozenset(_NO_UNIT_TEXT.split()) | _BINDS_BEFORE | _BINDS_AFTER
#: Longest unit: "pieces of red fruit" is one word too many.
UNIT_WORDS = 3
_HALVES = frozenset({"a", "half", "one", "two", "three"})
#: Characters that may stand before a sum, or after a result, without changing it.
_ENDS_BEFORE = frozenset(".,:;!?\"“”‘’'`•—→⇒|>…#*")
_ENDS_AFTER = frozenset('.,:;!?"“”’`—→⇒|<…)]')


class Token(NamedTuple):
    """A piece of a line, with its place in it, and the unit after it: the last word of `20 red apples`."""

    kind: str
    text: str
    start: int
    end: int
    unit: str = ""


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
        if first is None or last is None or first >= place or last < after:
            continue
        left, right = tokens[first:place], tokens[after : last + 1]
        if _units_agree(left, right, tokens[last + 1] if last + 1 < len(tokens) else None):
            yield Equation(_written(line, left), _written(line, right), about, left[0].start, right[-1].end)


def _written(line: str, side: list[Token]) -> str:
    if any(token.unit for token in side):
        return " ".join(token.text for token in side)
    return line[side[0].start : side[-1].end]


def _units_agree(left: list[Token], right: list[Token], after: Token | None) -> bool:
    """Return whether a sum of things with units is a sum of their numbers: not `2 apples + 3 pears = $4`."""
    units = [token.unit for token in (*left, *right) if token.unit]
    if not any(token.unit for token in left) and not any(token.unit for token in right[:-1]):
        return True
    if not any(token.kind == "operator" for token in left):
        return False  # "2 pizzas = 2 * 10" says what they cost
    result = after.text.lower().rstrip("s") if after is not None and after.kind == "word" else right[-1].unit
    operands = {token.unit for token in left if token.unit}
    if result and result not in operands:
        return False  # another unit, into which the sum may have been converted
    if {"$", "€", "£"} & {token.text[0] for token in right} - {token.text[0] for token in left}:
        return False
    return len(set(units)) == 1 or not any(token.text in "+-−–" for token in (*left, *right))


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
    return _with_units(tokens)


def _with_units(tokens: list[Token]) -> list[Token]:
    """Return the tokens without the words between a number and an operator or an equals sign, which name its unit."""
    joined: list[Token] = []
    place = 0
    while place < len(tokens):
        token = tokens[place]
        end = place + 1
        while end < len(tokens) and end - place <= UNIT_WORDS and _may_be_unit(tokens[end]):
            end += 1
        if token.kind == "number" and end > place + 1 and _goes_on(tokens, end) and token.end < tokens[place + 1].start:
            joined.append(token._replace(unit=tokens[end - 1].text.lower().rstrip("s")))
            place = end
        else:
            joined.append(token)
            place += 1
    return joined


def _may_be_unit(token: Token) -> bool:
    word = token.text
    return token.kind == "word" and len(word) > 1 and word.islower() and word not in _NO_UNIT


def _goes_on(tokens: list[Token], end: int) -> bool:
    """Return whether a sum goes on after the words that end here: an operator before a number, or an equals sign."""
    if end >= len(tokens) or tokens[end].kind not in {"operator", "equals"}:
        return False
    return tokens[end].kind == "equals" or (end + 1 < len(tokens) and tokens[end + 1].kind in _OPERAND_STARTS)


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
        return is_sum and apart and not _word_binds(before, tokens[first - 2] if first > 1 else None)
    if before.kind == "open":
        outside = tokens[first - 2] if first > 1 else None
        return outside is None or (outside.kind in {"word", "other", "equals"} and outside.end < before.start)
    if before.kind == "close":
        return apart and first == 2  # "2) 3 + 4 = 7" at the beginning of a line
    if before.kind != "other" or (first > 1 and tokens[first - 2].kind == "operator"):
        return False
    if before.text == "," and first > 1 and tokens[first - 2].kind == "number" and re.match(r"\d{3}(?!\d)", here.text):
        return False  # "14, 400 / 80": perhaps one number
    return before.text in _ENDS_BEFORE and (apart or before.text in '"“‘|•>:→⇒`*')


def _word_binds(word: Token, before: Token | None) -> bool:
    """Return whether a word before a sum may change it: `half of 3 + 5`, but not `a total of 3 + 5`."""
    text = word.text.lower()
    if text in {"of", "by"} and before is not None:
        return before.kind != "word" or before.text.lower() in _BINDS_BEFORE
    if text == "s" and before is not None:
        return before.text not in "'’"
    return len(text) == 1 or text in _BINDS_BEFORE


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
    if after.text in ".…" and not apart and following is not None and following.text in ".%":
        return False  # 8.333...%
    closes = after.text in _ENDS_AFTER
    return closes and not (following is not None and following.kind == "number" and following.start == after.end)
