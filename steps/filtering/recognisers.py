"""Presidio's pattern recognisers, one at a time, without its engine.

The module needs the extra `pii`; it is imported inside of the functions that find a turn worth reading, since the
library takes some seconds to load.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

#: Kind -> presidio's recognisers (classes of `presidio_analyzer.predefined_recognizers`). Poland's is left out: 2.2.362
#: compares the weighted sum itself with the check digit, and so refuses nearly every valid number.
RECOGNISERS: dict[str, tuple[str, ...]] = {
    "credit_card": ("CreditCardRecognizer",),
    "iban": ("IbanRecognizer",),
    "crypto_wallet": ("CryptoRecognizer",),
    "us_ssn": ("UsSsnRecognizer",),
    "passport": ("UsPassportRecognizer", "UkPassportRecognizer", "ItPassportRecognizer", "InPassportRecognizer"),
    "national_id": (
        "UsItinRecognizer",
        "UkNinoRecognizer",
        "NhsRecognizer",
        "EsNifRecognizer",
        "EsNieRecognizer",
        "ItFiscalCodeRecognizer",
        "FiPersonalIdentityCodeRecognizer",
        "InPanRecognizer",
        "InAadhaarRecognizer",
        "SgFinRecognizer",
        "AuTfnRecognizer",
        "KrRrnRecognizer",
    ),
}
#: Words near which alone a number of this kind is believed: its pattern says little.
CONTEXT: dict[str, re.Pattern[str]] = {
    "us_ssn": re.compile(r"ssn|social security", re.IGNORECASE),
    "passport": re.compile(r"passport|passeport|reisepass|pasaporte", re.IGNORECASE),
    "national_id": re.compile(
        r"national insurance|\bnino\b|\bnhs\b|\bnif\b|\bdni\b|\bnie\b|codice fiscale|fiscal code|henkil|personal "
        r"identity code|aadhaar|\bpan\b|nric|\bfin\b|\btfn\b|tax file|\bitin\b|taxpayer|resident registration",
        re.IGNORECASE,
    ),
}
#: Characters before and after a number in which those words are looked for.
BEFORE, AFTER = 60, 20
_PHONE_WORDS = re.compile(r"phone|tel\b|tel[.:]|call|mobile|cell|fax|whatsapp|text me|contact|ring", re.IGNORECASE)
#: A national form that is written like one: (212) 555 …, 0151 123 …, 1-800-…
_PHONE_GROUPS = re.compile(r"[(0][\d)]+[ ./-]\d|\d{3}[ .-]\d{3}[ .-]\d{4}\Z|1[ .-]\(?\d{3}")
_CARD_WORDS = re.compile(r"card|visa|amex|american express|credit|debit|cvv|payment", re.IGNORECASE)
_CARD_GROUPS = re.compile(r"\d{4}(?P<mark>[ -])\d{4}(?P=mark)\d{4}(?P=mark)\d{4}|\d{4}[ -]\d{6}[ -]\d{5}")
#: Visa, Mastercard, American Express, Discover, Diners Club, JCB, UnionPay, by ISO/IEC 7812.
_ISSUERS = re.compile(
    r"(?:4\d{12}(?:\d{3}){0,2}|5[1-5]\d{14}|2[2-7]\d{14}|3[47]\d{13}|6(?:011|2\d\d|4[4-9]\d|5\d\d)\d{12}|3(?:0[0-5]|[689]\d)\d{11}"
    r"|35(?:2[89]|[3-8]\d)\d{12})\Z"
)
_ETHEREUM = re.compile(r"\b0x[0-9a-fA-F]{40}\b")


def recognised(kind: str, text: str, regions: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    """Yield the offsets of all data of a kind that a recogniser is sure of.

    Args:
        kind: One of `personal_data.BY_PRESIDIO`.
        text: Turn.
        regions: Countries whose national forms of telephone numbers are known.
    """
    if kind == "phone":
        yield from _phones(text, regions)
        return
    if kind == "crypto_wallet":
        yield from (match.span() for match in _ETHEREUM.finditer(text))
    for recogniser in _recognisers(kind):
        for result in recogniser.analyze(text, recogniser.supported_entities, None):
            value = text[result.start : result.end]
            start = result.end - len(value.lstrip())  # some patterns take the space before a number along
            if _is_sure(kind, text, start, result.end, result.score):
                yield start, result.end


def _is_sure(kind: str, text: str, start: int, end: int, score: float) -> bool:
    if not _stands_alone(text, start, end):
        return False
    value = text[start:end]
    near = text[max(0, start - BEFORE) : start] + " " + text[end : end + AFTER]
    if kind == "credit_card":
        return score >= 1.0 and _is_card(value, near)
    context = CONTEXT.get(kind)
    if context is None:
        return score >= 1.0  # the checksum is right
    return bool(kind == "us_ssn" and re.fullmatch(r"\d{3}-\d{2}-\d{4}", value)) or context.search(near) is not None


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Return whether no digit, name or path goes on around a number."""
    before, after = text[max(0, start - 1) : start], text[end : end + 2]
    return not re.search(r"[\w./!-]", before) and not re.match(r"\w|[-._/]\d", after)


def _is_card(value: str, near: str) -> bool:
    """Return whether a number with a valid check digit is that of a card: one in ten numbers has one by chance."""
    if not _ISSUERS.match(re.sub(r"[ -]", "", value)):
        return False
    return _CARD_GROUPS.fullmatch(value) is not None or (value.isdigit() and _CARD_WORDS.search(near) is not None)


def _phones(text: str, regions: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    for result in _phone_recogniser(regions).analyze(text, ["PHONE_NUMBER"], None):
        number = text[result.start : result.end]
        before = text[max(0, result.start - BEFORE) : result.start]
        grouped = _PHONE_GROUPS.match(number) and not re.search(r"\s{2}|\d\.\d{5}", number)
        if not _stands_alone(text, result.start, result.end):
            continue
        if number.startswith("+") or grouped or _PHONE_WORDS.search(before):
            yield result.start, result.end


@cache
def _recognisers(kind: str) -> tuple[Any, ...]:
    from presidio_analyzer import predefined_recognizers

    # Presidio's IBAN recogniser logs the numbers that it cannot validate, at the level of errors.
    logging.getLogger("presidio-analyzer").setLevel(logging.CRITICAL)
    return tuple(getattr(predefined_recognizers, name)() for name in RECOGNISERS[kind])


@cache
def _phone_recogniser(regions: tuple[str, ...]) -> Any:
    from presidio_analyzer.predefined_recognizers import PhoneRecognizer

    return PhoneRecognizer(supported_regions=regions, leniency=1)
