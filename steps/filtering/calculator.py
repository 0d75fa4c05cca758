"""Exact values of arithmetic expressions: fractions, no floating point, nothing that is executed.

The grammar is that of the sums in answers: numbers with thousands separators, decimals, percent and currency signs,
`+ - * / ^` in their typographic forms, parentheses. Sizes are bounded, so that no expression takes long.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

#: More digits than this in a number, a power or a result are not worked out.
MAX_DIGITS = 18
MAX_EXPONENT = 64
#: Longer expressions are not worked out; real ones of GSM8K hold at most 25 numbers.
MAX_TOKENS = 120

#: A number: plain, with separators, or beginning with its decimal point; RE2 and `re`.
NUMBER = r"(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)"
#: Whole numbers stay whole until something divides: that is several times faster than fractions throughout.
Number = int | Fraction
#: Characters of operators, mapped to the one that the grammar knows.
OPERATORS = {
    "×": "*",
    "·": "*",
    "⋅": "*",
    "∙": "*",
    "x": "*",
    "X": "*",
    "÷": "/",
    "−": "-",
    "–": "-",
    "**": "^",
    "⁄": "/",
}
_TOKEN = re.compile(rf"\s*(?:[$€£¥]\s?)?(?:(?P<number>{NUMBER})(?P<percent>\s?%)?|(?P<mark>\*\*|[-+*/^()×·⋅∙xX÷−–⁄]))")


class NotArithmeticError(ValueError):
    """The text is no expression that can be worked out."""


class Value(NamedTuple):
    """The value of an expression.

    Attributes:
        exact: The value.
        n_operators: How many operators led to it.
        divides: Whether a division, a decimal or a percentage took part, so that a result may have been rounded.
        n_decimals: Decimals of the number, when it is one.
    """

    exact: Fraction
    n_operators: int
    divides: bool
    n_decimals: int


def evaluate(text: str, *, percent_is_hundredth: bool = True) -> Value:
    """Return the value of an expression.

    Args:
        text: The expression.
        percent_is_hundredth: Whether `20%` is 0.2; otherwise the sign is passed over.

    Raises:
        NotArithmeticError: if the text is none, divides by zero, or is too large.

    >>> evaluate("3/4 * 1,000").exact
    Fraction(750, 1)
    >>> evaluate("2 + 20%").exact
    Fraction(11, 5)
    """
    parser = _Parser(_tokens(text, percent_is_hundredth))
    value = parser.sum()
    if parser.tokens:
        raise NotArithmeticError(f"{parser.tokens[-1]!r} is left over")
    digits = max(len(str(value.numerator)), len(str(value.denominator)))
    if digits > 2 * MAX_DIGITS:
        raise NotArithmeticError(f"a result of {digits} digits")
    decimals = re.search(r"\.(\d+)", text) if parser.n_operators == 0 else None
    inexact = "/" in text or "÷" in text or "." in text or "%" in text or "⁄" in text
    return Value(Fraction(value), parser.n_operators, inexact, len(decimals[1]) if decimals else 0)


def _tokens(text: str, percent_is_hundredth: bool) -> list[str | Number]:
    """Return the tokens, last first."""
    tokens: list[str | Number] = []
    end, stripped = 0, text.strip()
    while end < len(stripped):
        match = _TOKEN.match(stripped, end)
        if not match or len(tokens) >= MAX_TOKENS:
            raise NotArithmeticError(f"{stripped[end : end + 20]!r} is no arithmetic")
        end = match.end()
        if match["mark"]:
            tokens.append(OPERATORS.get(match["mark"], match["mark"]))
            continue
        if len(match["number"]) > MAX_DIGITS:
            raise NotArithmeticError("a number with too many digits")
        digits = match["number"].replace(",", "")
        number = int(digits) if digits.isdigit() else Fraction(digits)
        tokens.append(Fraction(number) / 100 if match["percent"] and percent_is_hundredth else number)
    return tokens[::-1]


class _Parser:
    """Recursive descent over a stack of tokens; the depth is bounded by the number of tokens."""

    def __init__(self, tokens: list[str | Number]) -> None:
        self.tokens = tokens
        self.n_operators = 0

    def _next_is(self, marks: str) -> bool:
        return bool(self.tokens) and isinstance(self.tokens[-1], str) and self.tokens[-1] in marks

    def sum(self) -> Number:
        value = self._product()
        while self._next_is("+-"):
            self.n_operators += 1
            value = value + self._product() if self.tokens.pop() == "+" else value - self._product()
        return value

    def _product(self) -> Number:
        value = self._power()
        while self._next_is("*/"):
            self.n_operators += 1
            if self.tokens.pop() == "*":
                value *= self._power()
            else:
                divisor = self._power()
                if divisor == 0:
                    raise NotArithmeticError("a division by zero")
                value = Fraction(value) / divisor
        return value

    def _power(self) -> Number:
        value = self._atom()
        if self._next_is("^"):
            self.tokens.pop()
            self.n_operators += 1
            exponent = Fraction(self._power())
            if exponent.denominator != 1 or abs(exponent) > MAX_EXPONENT or (value == 0 and exponent < 0):
                raise NotArithmeticError(f"the exponent {exponent}")
            if abs(exponent) * max(len(str(value.numerator)), len(str(value.denominator))) > 2 * MAX_DIGITS:
                raise NotArithmeticError("a power with too many digits")
            value = Fraction(value) ** int(exponent)
        return value

    def _atom(self) -> Number:
        if not self.tokens:
            raise NotArithmeticError("the expression ends early")
        atom = self.tokens.pop()
        if not isinstance(atom, str):
            return atom
        if atom == "-":
            return -self._power()
        if atom == "(":
            value = self.sum()
            if not self.tokens or self.tokens.pop() != ")":
                raise NotArithmeticError("a parenthesis that never closes")
            return value
        raise NotArithmeticError(f"{atom!r} where a number belongs")
