"""Personal data in conversations: addresses, numbers of accounts and documents, in a form that a pattern can prove.

Each kind has a prefilter that runs over the whole column at once; only turns that pass it are read. Cards, accounts,
wallets, documents and telephone numbers are then decided by the pattern recognisers of presidio-analyzer (extra
`pii`), with their checksums; its default engine, which downloads a language model, is never built. Names and postal
addresses have no such form and are not found.
"""

from __future__ import annotations

import importlib.util
import ipaddress
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple, Self

from pydantic import model_validator

from steps.filtering.batch import Batch, Outcome
from steps.filtering.candidates import Candidate, matching_turns
from steps.filtering.masking import Finding, Mode, Reasons, hide
from steps.filtering.placeholders import is_placeholder
from steps.filtering.row import FilterReason
from steps.settings import Settings

REASONS = Reasons(FilterReason.PERSONAL_DATA, FilterReason.PERSONAL_DATA_MASKED, FilterReason.PERSONAL_DATA_FOUND)
#: Kinds that presidio's recognisers decide.
BY_PRESIDIO = ("phone", "credit_card", "iban", "us_ssn", "passport", "national_id", "crypto_wallet")


class PersonalDataSettings(Settings):
    """What is done with each kind: `drop` the row, `mask` the data, `report` it, or None to pass it over."""

    email: Mode | None = "mask"
    """E-mail addresses."""

    phone: Mode | None = "mask"
    """Telephone numbers, international or in the form of `phone_regions`."""

    phone_regions: tuple[str, ...] = ("US", "GB", "DE", "FR", "IN")
    """Countries (ISO 3166) whose national forms of telephone numbers are known."""

    credit_card: Mode | None = "mask"
    """Payment cards with a valid check digit (Luhn, ISO/IEC 7812)."""

    iban: Mode | None = "mask"
    """Bank accounts with valid check digits (ISO 13616, modulo 97)."""

    ip_address: Mode | None = "mask"
    """Public IPv4 and IPv6 addresses; private, local and documentation ranges and public resolvers are not personal."""

    mac_address: Mode | None = "mask"
    """Hardware addresses."""

    us_ssn: Mode | None = "mask"
    """US social security numbers, with dashes, or near words that say so."""

    passport: Mode | None = "mask"
    """Passport numbers near the word."""

    national_id: Mode | None = "mask"
    """Numbers of identity, tax and health insurance of nine countries, near words that say so."""

    crypto_wallet: Mode | None = "mask"
    """Bitcoin addresses with a valid checksum, and Ethereum addresses."""

    url_credentials: Mode | None = "mask"
    """User and password inside of an address."""

    date_of_birth: Mode | None = "mask"
    """Dates after "date of birth" and its like; a date in a biography is none."""

    @model_validator(mode="after")
    def _has_presidio(self) -> Self:
        needed = [kind for kind in BY_PRESIDIO if getattr(self, kind) is not None]
        if needed and importlib.util.find_spec("presidio_analyzer") is None:
            raise ValueError(
                f"{', '.join(needed)} need presidio-analyzer, which is not installed; "
                "run pip install 'tunesmith[pii]', or set these kinds to null"
            )
        return self


class Kind(NamedTuple):
    """How a kind of data is found.

    Attributes:
        hint: What every turn with such data holds; RE2, and Python's `re`.
        find: Yields the offsets in a turn that passed.
    """

    hint: str
    find: Callable[[str], Iterator[tuple[int, int]]]


def personal_data(batch: Batch, settings: PersonalDataSettings) -> Outcome:
    """Drop, mask or report the rows in which a turn of any role holds personal data."""
    modes: dict[str, Mode] = {kind: getattr(settings, kind) for kind in HINTS if getattr(settings, kind) is not None}
    if not modes:
        return Outcome()
    candidates = matching_turns(batch, "|".join(f"(?:{HINTS[kind]})" for kind in modes), answers_only=False)
    found = ((candidate, _findings(candidate, modes, settings.phone_regions)) for candidate in candidates)
    return hide(batch, found, modes, REASONS)


def _findings(candidate: Candidate, kinds: dict[str, Mode], regions: tuple[str, ...]) -> list[Finding]:
    found = []
    for kind in kinds:
        if not _hint(kind).search(candidate.text):
            continue
        for start, end in _spans(kind, candidate.text, regions):
            value = candidate.text[start:end]
            if not is_placeholder(kind, value):
                found.append(Finding(kind, start, end, _same(kind, value)))
    return found


def _spans(kind: str, text: str, regions: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    if kind in BY_PRESIDIO:
        from steps.filtering.recognisers import recognised

        yield from recognised(kind, text, regions)
    else:
        yield from OWN[kind](text)


def _same(kind: str, value: str) -> str:
    return value.lower() if kind in {"email", "url_credentials"} else re.sub(r"[\s().-]", "", value).upper()


_EMAIL = re.compile(
    r"(?<![\w.+%-])[A-Za-z0-9_][A-Za-z0-9._%+-]{0,63}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,24}"
    r"(?![\w@])(?!\.\w)(?!:\w)"
)
_IPV4 = re.compile(r"(?<![\w.-])(?:\d{1,3}\.){3}\d{1,3}(?![\w-]|\.\d)")
_VERSION_BEFORE = re.compile(
    r"(?:version|release|driver|firmware|build|chrome/|v)\W{0,3}\Z|[<>=~^]=?\s*\Z", re.IGNORECASE
)
_IPV6 = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{1,4}:){1,7}:?(?:[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{1,4}){0,6})?(?![\w:])")
_MAC = re.compile(
    r"(?<![\w:-])[0-9A-Fa-f]{2}(?P<mark>[:-])(?:[0-9A-Fa-f]{2}(?P=mark)){4}[0-9A-Fa-f]{2}(?![\w:-])"
    r"|(?<![\w.])(?:[0-9A-Fa-f]{4}\.){2}[0-9A-Fa-f]{4}(?![\w.])"
)
_URL_CREDENTIALS = re.compile(
    r"\b[a-zA-Z][a-zA-Z0-9+.-]{1,20}://(?P<found>[^\s/:@'\"<>]{1,64}:[^\s/@'\"<>]{1,100})@[A-Za-z0-9.\[-]"
)
_DATE = (
    r"(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}|\d{1,2}(?:st|nd|rd|th)?\.?\s+[A-Za-zäûé]{3,9}\.?,?"
    r"\s+\d{4}|[A-Za-z]{3,9}\.?\s+\d{1,2}(?:st|nd|rd|th)?,?\s+\d{4})"
)
_BIRTH = (
    r"date of birth|birth ?date|\bd\.?o\.?b\b|geburtsdatum|geboren am|date de naissance|fecha de nacimiento|"
    r"data di nascita"
)
_DATE_OF_BIRTH = re.compile(rf"(?:{_BIRTH})\.?[*_\"']*\W{{0,4}}(?:is|was|:)?\W{{0,4}}(?P<found>{_DATE})", re.IGNORECASE)


def _emails(text: str) -> Iterator[tuple[int, int]]:
    for match in _EMAIL.finditer(text):
        yield match.span()


def _ip_addresses(text: str) -> Iterator[tuple[int, int]]:
    for pattern in (_IPV4, _IPV6):
        for match in pattern.finditer(text):
            if pattern is _IPV4 and _VERSION_BEFORE.search(text[max(0, match.start() - 20) : match.start()]):
                continue
            try:
                address = ipaddress.ip_address(match.group())
            except ValueError:
                continue
            if address.is_global and not address.is_multicast:
                yield match.span()


def _mac_addresses(text: str) -> Iterator[tuple[int, int]]:
    for match in _MAC.finditer(text):
        yield match.span()


def _url_credentials(text: str) -> Iterator[tuple[int, int]]:
    for match in _URL_CREDENTIALS.finditer(text):
        yield match.span("found")


def _dates_of_birth(text: str) -> Iterator[tuple[int, int]]:
    for match in _DATE_OF_BIRTH.finditer(text):
        yield match.span("found")


OWN: dict[str, Callable[[str], Iterator[tuple[int, int]]]] = {
    "email": _emails,
    "ip_address": _ip_addresses,
    "mac_address": _mac_addresses,
    "url_credentials": _url_credentials,
    "date_of_birth": _dates_of_birth,
}

#: Kind -> what every turn with such data holds. One syntax for RE2, over the column, and for `re`, in one turn.
HINTS: dict[str, str] = {
    "email": r"[A-Za-z0-9]@[A-Za-z0-9-]+\.[A-Za-z0-9.-]*[A-Za-z]",
    "phone": r"\+\(?\d[\d ().-]{6,}\d|\(?\d{3}\)?[ .-]\d{3}[ .-]\d{4}|\b\(?0\d{2,5}\)?[ /-]?\d{3}[\d /-]{2,}"
    r"|(?i:phone|tel|call|mobile|fax|whatsapp)\D{0,20}\d{7}",
    "credit_card": r"[1-6]\d{3}[ -]?\d{4,6}[ -]?\d{4,5}",
    "iban": r"\b[A-Z]{2}\d{2}[ -]?[A-Z0-9]{4}[ -]?[A-Z0-9]{4}",
    "ip_address": r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}|[0-9A-Fa-f]{1,4}:[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:]*[0-9A-Fa-f]",
    "mac_address": r"[0-9A-Fa-f]{2}[:-][0-9A-Fa-f]{2}[:-][0-9A-Fa-f]{2}[:-][0-9A-Fa-f]{2}[:-]"
    r"|[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}",
    "us_ssn": r"\b\d{3}-\d{2}-\d{4}\b|(?i:ssn|social security)\D{0,40}\d{3}",
    "passport": r"(?i:passport|passeport|reisepass|pasaporte)[^\n]{0,60}\d{5}",
    "national_id": r"(?i:national insurance|\bnino\b|\bnhs\b|\bnif\b|\bdni\b|\bnie\b|codice fiscale|fiscal code|"
    r"henkil|personal identity code|aadhaar|\bpan\b|nric|\bfin\b|\btfn\b|tax file|\bitin\b|taxpayer|"
    r"resident registration)[^\n]{0,60}\d{2}",
    "crypto_wallet": r"\b(?:bc1|[13])[a-zA-HJ-NP-Z0-9]{25}|\b0x[0-9a-fA-F]{40}\b",
    "url_credentials": r"://[^\s/:@]+:[^\s/@]+@",
    "date_of_birth": rf"(?i:{_BIRTH})",
}
_COMPILED = {kind: re.compile(hint) for kind, hint in HINTS.items()}


def _hint(kind: str) -> re.Pattern[str]:
    return _COMPILED[kind]
