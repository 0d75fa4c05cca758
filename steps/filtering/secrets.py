"""Credentials in conversations: keys of services, tokens, private keys, passwords in addresses and assignments.

The formats are those that the services publish for secret scanning. A prefilter finds the turns that hold the literal
beginning of any of them, over the whole column at once. What a writer put in place of a secret (`YOUR_API_KEY`,
`xxxx`, `<token>`, `${TOKEN}`, an example of a vendor's documentation) is no secret.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

from pydantic import Field

from steps.filtering.batch import Batch, Outcome
from steps.filtering.candidates import matching_turns
from steps.filtering.masking import Finding, Mode, Reasons, hide
from steps.filtering.row import FilterReason
from steps.settings import Settings


class Pattern(NamedTuple):
    """How a secret is found.

    Attributes:
        category: What it is.
        hint: What every turn with such a secret holds; RE2.
        pattern: The secret; group `secret` where it is a part of the match.
        min_entropy: Least Shannon entropy, bits a character; 0 for formats that cannot be anything else.
    """

    category: str
    hint: str
    pattern: re.Pattern[str]
    min_entropy: float = 0.0


def _pattern(category: str, hint: str, pattern: str, min_entropy: float = 0.0, flags: int = 0) -> Pattern:
    return Pattern(category, hint, re.compile(pattern, flags), min_entropy)


_B = r"(?<![A-Za-z0-9_])"
_E = r"(?![A-Za-z0-9_])"
_NAMES = (
    r"(?:pass(?:word|wd|phrase)?|pwd|secret(?:[_-]?key)?|api[_-]?(?:key|token|secret)|auth[_-]?token|"
    r"access[_-]?(?:token|key)|client[_-]?secret|private[_-]?key|token)"
)

PATTERNS = (
    _pattern("aws_key", r"(?:AKIA|ASIA)[A-Z2-7]", rf"{_B}(?:AKIA|ASIA)[A-Z2-7]{{16}}{_E}"),
    _pattern(
        "aws_secret",
        r"(?i)aws.{0,20}(?:secret|key)",
        r"(?i:aws[\w .-]{0,20}(?:secret|key)[\w .-]{0,20}['\"]?\s*[:=]\s*['\"]?)"
        r"(?P<secret>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])",
        3.5,
    ),
    _pattern("google_key", "AIza", rf"{_B}AIza[A-Za-z0-9_-]{{35}}(?![A-Za-z0-9_-])"),
    _pattern("google_oauth", r"GOCSPX-|ya29\.", rf"{_B}(?:GOCSPX-[A-Za-z0-9_-]{{28}}|ya29\.[A-Za-z0-9_-]{{20,}})"),
    _pattern(
        "github_token",
        r"gh[pousr]_|github_pat_",
        rf"{_B}(?:gh[pousr]_[A-Za-z0-9]{{36,255}}|github_pat_[A-Za-z0-9]{{22}}_[A-Za-z0-9]{{59}}){_E}",
    ),
    _pattern("gitlab_token", "glpat-|gldt-|glrt-", rf"{_B}gl(?:pat|dt|rt)-[A-Za-z0-9_-]{{20,}}(?![A-Za-z0-9_-])"),
    _pattern(
        "slack_token",
        "xox[abeoprs]-|xapp-",
        rf"{_B}(?:xox[abeoprs]-(?:\d+-)+[A-Za-z0-9]{{10,}}|xapp-\d-[A-Z0-9]+-\d+-[a-z0-9]+)",
    ),
    _pattern(
        "slack_webhook",
        r"hooks\.slack\.com",
        r"https://hooks\.slack\.com/(?:services|workflows)/T\w{8,}/\w{8,}/[A-Za-z0-9]{20,}",
    ),
    _pattern("stripe_key", r"[sr]k_live_", rf"{_B}[sr]k_live_[A-Za-z0-9]{{20,247}}{_E}"),
    _pattern(
        "openai_key",
        "sk-",
        rf"{_B}sk-(?:(?:proj|svcacct|admin)-[A-Za-z0-9_-]{{40,}}|[A-Za-z0-9]{{20}}T3BlbkFJ[A-Za-z0-9]{{20}}|[A-Za-z0-9]{{48}}){_E}",
        3.5,
    ),
    _pattern("anthropic_key", "sk-ant-", rf"{_B}sk-ant-(?:api|admin)\d\d-[A-Za-z0-9_-]{{40,}}", 3.5),
    _pattern("hugging_face_token", "hf_", rf"{_B}hf_[A-Za-z]{{34}}{_E}", 3.5),
    _pattern("npm_token", "npm_", rf"{_B}npm_[A-Za-z0-9]{{36}}{_E}", 3.0),
    _pattern("pypi_token", "pypi-AgE", rf"{_B}pypi-AgE[A-Za-z0-9_-]{{50,}}"),
    _pattern("sendgrid_key", r"SG\.", rf"{_B}SG\.[A-Za-z0-9_-]{{22}}\.[A-Za-z0-9_-]{{43}}(?![A-Za-z0-9_-])"),
    _pattern("twilio_key", "SK[0-9a-f]{32}", rf"{_B}SK[0-9a-f]{{32}}{_E}", 3.0),
    _pattern("telegram_token", ":AA", rf"{_B}\d{{8,10}}:AA[A-Za-z0-9_-]{{33}}(?![A-Za-z0-9_-])"),
    _pattern("azure_key", "AccountKey=", r"AccountKey=(?P<secret>[A-Za-z0-9+/]{86}==)"),
    _pattern(
        "jwt", r"eyJ[A-Za-z0-9_-]+\.eyJ", rf"{_B}eyJ[A-Za-z0-9_-]{{10,}}\.eyJ[A-Za-z0-9_-]{{10,}}\.[A-Za-z0-9_-]{{20,}}"
    ),
    _pattern(
        "private_key",
        "PRIVATE KEY",
        r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----(?P<secret>[\s\\nrA-Za-z0-9+/=:,.-]{64,}?)"
        r"(?=-----END|\Z)",
    ),
    _pattern(
        "url_password",
        r"://[^\s/:@]*:[^\s/@]+@",
        r"\b[a-zA-Z][a-zA-Z0-9+.-]{1,20}://(?P<user>[^\s/:@'\"<>]{0,64}):(?!(?P=user)@)(?P<secret>[^\s/@'\"<>]{3,100})@[A-Za-z0-9.\[-]",
    ),
    _pattern(
        "password",
        rf"(?i){_NAMES}['\"]?\s*[:=]",
        rf"(?i:(?<![a-z]){_NAMES}['\"]?\s*(?::\s*(?:str\s*)?=?|=)\s*)(?P<quote>['\"])(?P<secret>[^\s'\"]{{8,120}})(?P=quote)",
        3.3,
    ),
)

#: What stands where a secret would: words of templates and documentation, runs of one character, references.
_PLACEHOLDER = re.compile(
    r"example|sample|dummy|fake|placeholder|your|my[_-]?|changeme|change[_-]me|replace|insert|redacted|secret|password|"
    r"passw|token|api[_-]?key|todo|test|demo|foo|bar|xxx|\*\*\*|\.\.\.|…|1234|abcd|qwerty|admin|user|hunter2|letmein|"
    r"^[<\[{$%(].*|\$\{|\{\{|\{\w*\}|%\(|#\{|<\w|^(.)\1+$|(.)\2{5}",
    re.IGNORECASE,
)
#: For formats of their own only what no real key holds: AWS's and others' documentation says EXAMPLE in its keys.
_FORMAT_PLACEHOLDER = re.compile(
    r"example|x{6}|X{6}|\*\*\*|\.\.\.|…|(.)\1{7}|1234567890|abcdefghij|your[_-]|0123456789", re.IGNORECASE
)
#: What an assignment of a "secret" often holds instead: code, a path, an address, a name of a variable.
_REFERENCE = re.compile(
    r"^(?:os\.|process\.|env\b|config\b|self\.|https?:|/|\./|[A-Z][A-Z0-9_]+$|[a-z]+(?:[_-][a-z]+)*$|[\w.]+\(.*)"
)

REASONS = Reasons(FilterReason.SECRET, FilterReason.SECRET_MASKED, FilterReason.SECRET_FOUND)


class SecretSettings(Settings):
    """What is done with credentials."""

    keys: Mode | None = "mask"
    """Keys, tokens and private keys in the format of a service, and passwords inside of addresses. A model that was
    trained on a real one can repeat it (Carlini et al. 2021, arXiv:2012.07805)."""

    passwords: Mode | None = "mask"
    """Assignments such as `password = "…"` whose value looks random."""

    min_password_entropy: float = Field(3.3, ge=0, le=8)
    """Least Shannon entropy of such a value, bits a character: words and names stay below, random values of ten
    characters and more lie above."""


def secrets(batch: Batch, settings: SecretSettings) -> Outcome:
    """Drop, mask or report the rows in which a turn of any role holds a credential."""
    modes: dict[str, Mode] = {}
    for pattern in PATTERNS:
        mode = settings.passwords if pattern.category == "password" else settings.keys
        if mode is not None:
            modes[pattern.category] = mode
    if not modes:
        return Outcome()
    hints = "|".join(f"(?:{pattern.hint})" for pattern in PATTERNS if pattern.category in modes)
    candidates = matching_turns(batch, hints, answers_only=False)
    find = _finder(frozenset(modes), settings.min_password_entropy)
    return hide(batch, ((candidate, list(find(candidate.text))) for candidate in candidates), modes, REASONS)


def find_secrets(text: str) -> list[Finding]:
    """Return the credentials of a text, by the default settings.

    >>> [finding.category for finding in find_secrets("token ghp_" + "a1B2c3D4e5F6" * 3)]
    ['github_token']
    >>> find_secrets('api_key = "YOUR_API_KEY"')
    []
    """
    categories = frozenset(pattern.category for pattern in PATTERNS)
    return list(_finder(categories, SecretSettings().min_password_entropy)(text))


def _finder(categories: frozenset[str], min_password_entropy: float) -> Callable[[str], Iterator[Finding]]:
    patterns = [pattern for pattern in PATTERNS if pattern.category in categories]

    def find(text: str) -> Iterator[Finding]:
        for category, _, pattern, least in patterns:
            least = min_password_entropy if category == "password" else least
            for match in pattern.finditer(text):
                group = "secret" if "secret" in pattern.groupindex else 0
                value = match[group]
                if entropy(value) >= least and not _stands_for_one(category, value):
                    yield Finding(category, *match.span(group), value)

    return find


def _stands_for_one(category: str, value: str) -> bool:
    if category == "password":
        return bool(_PLACEHOLDER.search(value) or _REFERENCE.match(value))
    if category == "url_password":
        return bool(_PLACEHOLDER.search(value)) or entropy(value) < 2
    return bool(_FORMAT_PLACEHOLDER.search(value))


def entropy(value: str) -> float:
    """Return the Shannon entropy of a text's characters, bits a character.

    >>> entropy("aaaa"), entropy("abcd")
    (0.0, 2.0)
    """
    counts = Counter(value).values()
    return sum(count / len(value) * math.log2(len(value) / count) for count in counts)
