"""The numbers of a text in one spelling: digits or words, with sign, unit and date."""

from __future__ import annotations

import re
from collections.abc import Iterator

_UNITS = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
]  # fmt: skip
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_SMALL = {word: number for number, word in enumerate(_UNITS)} | {
    word: 10 * number for number, word in enumerate(_TENS, start=2)
}
_LARGE = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}
#: Words that are a number by themselves.
_ALONE = {"dozen": "12", "twice": "2", "thrice": "3", "half": "0.5", "third": "3", "fourth": "4", "fifth": "5"}
_ALONE |= {word: str(number) for number, word in enumerate(["sixth", "seventh", "eighth", "ninth", "tenth"], start=6)}

_MONTHS = {
    name: number
    for number, names in enumerate(
        ["january jan", "february feb", "march mar", "april apr", "may", "june jun", "july jul", "august aug",
         "september sept sep", "october oct", "november nov", "december dec"], start=1)
    for name in names.split()
}  # fmt: skip
#: Months and days that are no other word count without a date beside them.
_CALENDAR = (
    "january|february|april|june|july|august|september|october|november|december|"
    "monday|tuesday|wednesday|thursday|friday|saturday|sunday"
)
#: Spellings of one unit. A unit that is missing here is not compared; its number is.
_SPELLINGS = {
    "%": "percent pct", "$": "dollar dollars usd buck bucks", "€": "euro euros eur", "£": "gbp", "¥": "yen jpy",
    "mm": "millimeter millimeters millimetre millimetres", "cm": "centimeter centimeters centimetre centimetres",
    "m": "meter meters metre metres", "km": "kilometer kilometers kilometre kilometres kms", "mi": "mile miles",
    "ft": "feet foot", "inch": "inches", "yd": "yard yards", "mg": "milligram milligrams", "g": "gram grams",
    "kg": "kilogram kilograms kilo kilos", "lb": "pound pounds lbs", "oz": "ounce ounces",
    "ml": "milliliter milliliters millilitre millilitres", "l": "liter liters litre litres",
    "ms": "millisecond milliseconds msec", "s": "second seconds sec secs", "min": "minute minutes mins",
    "h": "hour hours hr hrs", "d": "day days", "week": "weeks", "month": "months", "year": "years yr yrs",
    "kb": "kilobyte kilobytes", "mb": "megabyte megabytes", "gb": "gigabyte gigabytes", "tb": "terabyte terabytes",
    "c": "°c celsius centigrade", "f": "°f fahrenheit", "hz": "hertz", "v": "volt volts", "w": "watt watts", "k": "",
}  # fmt: skip
_UNIT_OF = {word: unit for unit, words in _SPELLINGS.items() for word in (unit, *words.split())}
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
_WORDS = "|".join(sorted([*_SMALL, *_LARGE], key=len, reverse=True))
_DATE = re.compile(
    r"\b(?P<y1>\d{4})[-/](?P<m1>\d{1,2})[-/](?P<d1>\d{1,2})\b"
    rf"|\b(?P<m2>{_MONTH})\.? (?P<d2>\d{{1,2}})(?:st|nd|rd|th)?\b(?:,? (?P<y2>\d{{4}})\b)?"
    rf"|\b(?P<d3>\d{{1,2}})(?:st|nd|rd|th)?(?: of)? (?P<m3>{_MONTH})\b\.?(?:,? (?P<y3>\d{{4}})\b)?"
    rf"|\b(?P<named>{_CALENDAR})s?\b"
)
#: Begins with what it looks for, so that the scan over a text is quick; sign and unit are read around a match.
_NUMBER = re.compile(
    r"(?P<digits>\d+(?:[.,:]\d+)*)(?: (?P<scale>hundred|thousand|million|billion)\b)?"
    rf"|\b(?P<words>(?:{_WORDS})(?:(?:[ -]|(?<=hundred) and )(?:{_WORDS}))*)\b"
    rf"|\b(?P<alone>{'|'.join(_ALONE)})s?\b"
)
_BEFORE = re.compile(
    r"(?P<sign>(?<![\w)\]])[-−]|\b(?:minus|negative) )?(?P<currency>[$€£¥])? ?(?P<point>(?<![\w])\.)?$"
)
_AFTER = re.compile(r"[ -]?(?:degrees )?([°a-z]+|%|[$€£¥])(?!\w)")
#: Characters that a sign and a currency can take before a number.
_REACH = 12
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")


def numbers(text: str) -> Iterator[str]:
    """Yield the numbers of a text in lower case, dates first, each in one spelling.

    "One" alone does not count, since it is a pronoun too. Trailing zeros stay, since 3.1 and 3.10 are two versions.

    >>> list(numbers("twenty-one apples and 1,000.50 dollars at -5 degrees celsius"))
    ['21', '1000.50 $', '-5 c']
    >>> list(numbers("on january 5, 2024 or 2024-01-05"))
    ['2024-1-5', '2024-1-5']
    """
    spans = []
    for match in _DATE.finditer(text):
        spans.append(match.span())
        yield _date(match)
    for start, end in reversed(spans):
        text = f"{text[:start]};{text[end:]}"
    for match in _NUMBER.finditer(text):
        value = _value(text, match)
        if value is not None:
            yield value


def _date(match: re.Match[str]) -> str:
    named = match["named"]
    if named is not None:
        return str(named)
    year = match["y1"] or match["y2"] or match["y3"] or "?"
    month = int(match["m1"]) if match["m1"] else _MONTHS[match["m2"] or match["m3"]]
    return f"{year}-{month}-{int(match['d1'] or match['d2'] or match['d3'])}"


def _value(text: str, match: re.Match[str]) -> str | None:
    if match["alone"]:
        return _ALONE[match["alone"]]
    before = _BEFORE.search(text, max(0, match.start() - _REACH), match.start())
    after = _AFTER.match(text, match.end())
    sign, currency, point = before.group("sign", "currency", "point") if before else (None, None, None)
    unit = currency or (_UNIT_OF.get(after[1], "") if after else "")
    if match["words"] == "one" and not unit and not sign:
        return None
    if match["words"]:
        size = str(_spelt(match["words"]))
    else:
        size = _plain(f"0.{match['digits']}" if point else match["digits"], match["scale"])
    return f"{'-' if sign else ''}{size}{' ' if unit else ''}{unit}"


def _plain(digits: str, scale: str | None) -> str:
    """Return digits without thousands separators, and multiplied by the word behind them."""
    if _THOUSANDS.fullmatch(digits):
        digits = digits.replace(",", "")
    if scale is None:
        return digits
    whole, _, fraction = digits.replace(",", ".").partition(".")
    if not (whole + fraction).isdigit():
        return f"{digits} {scale}"
    value = int(whole + fraction) * _LARGE[scale]
    return str(value // 10 ** len(fraction)) if value % 10 ** len(fraction) == 0 else f"{digits} {scale}"


def _spelt(text: str) -> int:
    """Return the value of number words.

    >>> _spelt("two hundred and five thousand")
    205000
    """
    total = part = 0
    for word in re.split(r"[ -]", text):
        if word in _SMALL:
            part += _SMALL[word]
        elif word == "hundred":
            part = max(part, 1) * 100
        elif word in _LARGE:
            total, part = total + max(part, 1) * _LARGE[word], 0
    return total + part
