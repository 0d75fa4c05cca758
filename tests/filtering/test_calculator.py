from fractions import Fraction

import pytest

from steps.filtering.calculator import NotArithmeticError, evaluate


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) × 3", 9),
        ("-2^2", -4),
        ("2^3^2", 512),
        ("10 − 4 – 1", 5),
        ("8/4/2", 1),
        ("7 ÷ 2", Fraction(7, 2)),
        ("$1,234.50 * 2", 2469),
        ("20% * 50", 10),
        (".5 x 4", 2),
        ("3 x (2)", 6),
        ("2**10", 1024),
        ("5 - -3", 8),
        ("0.1 + 0.2", Fraction(3, 10)),
    ],
)
def test_expressions_have_exact_values(text, value):
    assert evaluate(text).exact == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1 +",
        "1 / 0",
        "1 / (2 - 2)",
        "(1 + 2",
        "1 + 2)",
        "x + 1",
        "1 2",
        "()",
        "__import__('os')",
        "9" * 19 + " + 1",
        "2^1000",
        "9^9^9^9",
        "0^-1",
        "4^0.5",
        "(" * 500 + "1" + ")" * 500,
        "1+" * 5000 + "1",
    ],
)
def test_what_is_no_bounded_arithmetic_is_refused(text):
    with pytest.raises(NotArithmeticError):
        evaluate(text)


def test_a_percent_sign_can_be_passed_over():
    assert evaluate("20%", percent_is_hundredth=False).exact == 20
