"""Bytes to text: the encoding is found out, binary content recognised, and text repaired as little as possible."""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from steps.extraction.reasons import ExtractDrop, UnusableError
from steps.extraction.repairs import CONTROL, added, mend

#: Byte order marks and their encodings; UTF-32 stands first because its little-endian mark begins with UTF-16's.
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
#: Share of control characters above which decoded bytes were no text (8-bit encodings decode anything).
MAX_CONTROL_SHARE = 0.02
#: Pairs of bytes with one NUL, of a text in UTF-16 whose characters are mostly Latin; and bytes that are looked at.
UTF_16_SHARE = 0.7
MIN_PAIRS, SAMPLE_BYTES = 4, 4_096
#: A first line longer than this is a sentence, not a title.
MAX_TITLE_CHARACTERS = 100


class Place(NamedTuple):
    """From character `start` of the text on, what stands there came from `label`: `page 3`, `slide 2`, `cell 5`."""

    start: int
    label: str


class Extracted(NamedTuple):
    """What a reader found in one file."""

    text: str
    title: str | None
    offset_map: tuple[Place, ...] = ()  # ascending; empty where the file has no pages, slides, cells or sections
    licence: str | None = None  # SPDX identifier that the file itself states
    repairs: Mapping[str, int] = MappingProxyType({})  # kinds of `steps.extraction.repairs.KINDS`


def read_text(content: bytes) -> Extracted:
    """Read plain text; a short first line that stands alone is the title (it stays in the text).

    Raises:
        UnusableError: if it is empty, binary, or of no known encoding.
    """
    text, repairs = decode_counted(content)
    first, _, rest = text.partition("\n")
    alone = len(first) <= MAX_TITLE_CHARACTERS and not first.rstrip().endswith((".", ":", ",", ";", "?", "!"))
    underlined = bool(re.match(r"([=\-~^*#])\1{2,}\s*(\n|$)", rest))
    is_title = alone and first[:1].isalnum() and (rest.startswith("\n") or underlined)
    return Extracted(text, first.strip() if is_title else None, repairs=repairs)


def decode(content: bytes) -> str:
    r"""Decode a file and repair it: by its byte order mark, as UTF-8, or by what charset-normalizer finds.

    >>> decode("caf\u00e9".encode("utf-16"))
    'café'

    Raises:
        UnusableError: `empty_file`, `binary_file` or `unknown_encoding`.
    """
    return decode_counted(content)[0]


def decode_counted(content: bytes) -> tuple[str, dict[str, int]]:
    """Decode a file as `decode` does; return its text and the repairs.

    Raises:
        UnusableError: `empty_file`, `binary_file` or `unknown_encoding`.
    """
    text, repairs = mend(_decoded(content))
    text = text.strip()
    if not text:
        raise UnusableError(ExtractDrop.EMPTY_FILE, f"{len(content)} bytes, no text")
    if content.startswith(tuple(mark for mark, _ in BYTE_ORDER_MARKS)):
        repairs = added([{"bom": 1}, repairs])
    return text, repairs


def repair(text: str) -> str:
    r"""Mend mojibake, remove control characters and byte order marks, write line ends as LF, compose (NFC).

    >>> repair("\ufeffa\r\nb\x00e\u0301")
    'a\nbé'
    """
    return mend(text)[0]


def _decoded(content: bytes) -> str:
    for mark, encoding in BYTE_ORDER_MARKS:
        if content.startswith(mark):
            return _decoded_as(content, encoding)
    if b"\x00" in content:
        if guessed := _utf_16_without_mark(content):
            return _decoded_as(content, guessed)
        raise UnusableError(ExtractDrop.BINARY_FILE, f"NUL byte at offset {content.index(0)}")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = _guessed(content)
    n_control = len(CONTROL.findall(text))
    if n_control > MAX_CONTROL_SHARE * len(text):
        raise UnusableError(ExtractDrop.BINARY_FILE, f"{n_control} control characters among {len(text)}")
    return text


def _utf_16_without_mark(content: bytes) -> str | None:
    """Return the byte order of UTF-16 without a mark: one byte of nearly every pair is NUL, and the other never is."""
    first, second = content[:SAMPLE_BYTES:2].count(0), content[1:SAMPLE_BYTES:2].count(0)
    n_pairs = len(content[:SAMPLE_BYTES]) // 2
    if len(content) % 2 or n_pairs < MIN_PAIRS or max(first, second) < UTF_16_SHARE * n_pairs or min(first, second):
        return None
    return "utf-16-be" if first > second else "utf-16-le"


def _decoded_as(content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise UnusableError(ExtractDrop.UNKNOWN_ENCODING, f"marked as {encoding}, but {error.reason}") from None


def _guessed(content: bytes) -> str:
    from charset_normalizer import from_bytes

    best = from_bytes(content).best()
    if best is None:
        raise UnusableError(
            ExtractDrop.UNKNOWN_ENCODING, "neither UTF-8 nor any encoding that charset-normalizer knows"
        )
    return str(best)
