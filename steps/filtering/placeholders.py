"""What stands in a text where personal data would, and is nobody's: names and numbers kept free for examples."""

from __future__ import annotations

import re

_DIGITS = re.compile(r"\D")
#: Domains of RFC 2606 and RFC 6761, and those that writers take for an example.
_EMAIL = re.compile(
    r"@(?:.*\.)?(?:example|test|invalid|localhost|local)(?:\.\w+)*$|@(?:.*\.)?(?:example|exemple|ejemplo|beispiel|domain|"
    r"yourdomain|mydomain|company|yourcompany|mycompany|email|mail|youremail|website|site|server|host|foo|bar|acme|xyz|"
    r"test|dummy|sample|abc|provider|organization|org|business)\.\w+$"
    r"|^(?:your|my|user|username|name|firstname|first\.last|someone|somebody|no-?reply|do-?not-?reply|git|me|you|root|"
    r"test|foo|bar|example|email|xxx+)(?:[._-]?(?:name|email|user|mail|address))?@"
    r"|\.(?:png|jpe?g|gif|svg|webp|css|js|ts|py|md|json|html?|zip|tar|gz|git|so|dll|service|txt|ya?ml)$",
    re.IGNORECASE,
)
#: North American 555-0100 to 555-0199, and the numbers of Ofcom for drama; sequences and runs.
_PHONE = re.compile(
    r"555\d{4}$|01\d{0,3}4960\d{3}$|2079460\d{3}$|7700900\d{3}$|1234567|2345678|9876543|(\d)\1{5}|123123|123456"
)
#: The test numbers of the payment services.
_CARDS_TEXT = (
    "4111111111111111 4242424242424242 4012888888881881 4222222222222 5555555555554444 5105105105105100 "
    "5200828282828210 2223003122003222 378282246310005 371449635398431 378734493671000 6011111111111117 "
    "6011000990139424 6011000000000004 3056930009020004 30569309025904 38520000023237 3530111333300000 "
    "3566002020360505 4000056655665556 4000000000000002 4000000000009995 4532015112830366 5500000000000004 "
    "340000000000009 4007000000027 4012000033330026"
)
_CARDS = frozenset(_CARDS_TEXT.split())
#: The examples of the registry of ISO 13616 that are copied most.
_IBANS_TEXT = (
    "DE89370400440532013000 GB29NWBK60161331926819 GB82WEST12345698765432 FR1420041010050500013M02606 "
    "NL91ABNA0417164300 ES9121000418450200051332 CH9300762011623852957 BE68539007547034 AT611904300234573201 "
    "IT60X0542811101000000123456 GR1601101250000000012300695 PL61109010140000071219812874 "
    "FR7630006000011234567890189 BE71096123456769 DE91100000000123456789"
)
_IBANS = frozenset(_IBANS_TEXT.split())
_WALLETS_TEXT = (
    "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa 1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2 3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy "
    "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq"
)
_WALLETS = frozenset(_WALLETS_TEXT.split())
#: Public resolvers, and addresses that stand for "some address".
_ADDRESSES_TEXT = (
    "1.1.1.1 1.0.0.1 8.8.8.8 8.8.4.4 9.9.9.9 208.67.222.222 208.67.220.220 1.2.3.4 4.3.2.1 5.6.7.8 4.4.4.4 1.2.3.5 "
    "123.45.67.89 12.34.56.78 "
    "2001:4860:4860::8888 2001:4860:4860::8844 2606:4700:4700::1111 2606:4700:4700::1001"
)
_ADDRESSES = frozenset(_ADDRESSES_TEXT.split())
_MAC = re.compile(
    r"^(?:0{12}|f{12}|001122334455|001a2b3c4d5e|aabbccddeeff|123456789abc|a1b2c3d4e5f6|deadbeef.*|00005e0053..)$"
)
_CREDENTIALS = re.compile(
    r"^(?:user(?:name)?|usr|name|login|admin|root|postgres|guest|me|test|foo|your[\w-]*|my[\w-]*|u|x+|<.*|\$.*|\{.*|\*+)"
    r":|:(?:pass(?:word|wd)?|pwd|secret|p|x+|<.*|\$.*|\{.*|\*+|token|your.*)$|^(\w+):\1$",
    re.IGNORECASE,
)


def is_placeholder(kind: str, value: str) -> bool:
    """Return whether a value of a kind of personal data stands for one.

    >>> is_placeholder("email", "user@example.org"), is_placeholder("phone", "+1 212-555-0123")
    (True, True)
    """
    if kind == "email":
        return _EMAIL.search(value) is not None
    if kind == "ip_address":
        return value.lower() in _ADDRESSES or (value.count(".") == 3 and len(set(value.split("."))) == 1)
    if kind == "url_credentials":
        return _CREDENTIALS.search(value) is not None
    if kind == "crypto_wallet":
        return value in _WALLETS or len(set(value.lower())) < 8
    digits = _DIGITS.sub("", value)
    if kind == "credit_card":
        return digits in _CARDS or len(set(digits)) < 4
    if kind == "iban":
        return re.sub(r"[\s-]", "", value).upper() in _IBANS
    if kind == "mac_address":
        return _MAC.match(re.sub(r"[:.-]", "", value.lower())) is not None
    if kind == "phone":
        return _PHONE.search(digits) is not None
    if kind in {"us_ssn", "passport", "national_id"}:
        return digits in "0123456789" or digits in "9876543210" or len(set(digits)) < 3
    return False
