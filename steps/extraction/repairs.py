"""Text is repaired as little as possible, and every repair is counted."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping

#: What is counted, in the order of the column `repairs`: lines of mojibake mended, NULs, other control characters and
#: byte order marks removed, characters that composing (NFC) changed, halves of UTF-16 pairs replaced, line ends written
#: as LF.
KINDS = ("mojibake", "nul", "control", "bom", "not_nfc", "surrogate", "line_end")
Repairs = Mapping[str, int]

#: C0 and C1 control characters but for tab and line feed, and the byte order mark.
CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x84\x86-\x9f\ufeff]")
_LINE_BREAK = re.compile("\r\n|[\r\f\x85\u2028\u2029]")
#: Half of a UTF-16 pair, as JSON's `\\ud800` gives it; no UTF-8 column can hold one.
_SURROGATE = re.compile("[\ud800-\udfff]")
#: UTF-8 read as Latin-1 or Windows-1252: a lead byte's character before one or more of the characters that its
#: continuation bytes (0x80 to 0xBF) give. ftfy reads 5 MB/s; this decides which lines it is asked about.
_LEADS = "\u00c2-\u00f4"
_FOLLOWERS = (
    "\x80-\u00bf\u20ac\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\u017d\u2018\u2019\u201c\u201d"
    "\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\u017e\u0178"
)
_MOJIBAKE = re.compile(f"[{_LEADS}][{_FOLLOWERS}]")


def mend(text: str) -> tuple[str, dict[str, int]]:
    r"""Repair a text; return it with the repairs that were needed, of the kinds in `KINDS`.

    >>> mend("\ufeffa\r\nb\x00e\u0301")
    ('a\nbé', {'line_end': 1, 'bom': 1, 'nul': 1, 'not_nfc': 1})
    >>> mend("caf\u00c3\u00a9")
    ('café', {'mojibake': 1})
    """
    counts: dict[str, int] = {}
    if not text.isascii():
        # Mojibake holds C1 controls (one of them a line break), so it is read before those go.
        text, n = _mend_mojibake(text)
        _count(counts, "mojibake", n)
    text, n = _LINE_BREAK.subn("\n", text)
    _count(counts, "line_end", n)
    text = _mend_controls(text, counts)
    if text.isascii():
        return text, counts
    text, n = _SURROGATE.subn("\ufffd", text)
    _count(counts, "surrogate", n)
    if not unicodedata.is_normalized("NFC", text):
        composed = unicodedata.normalize("NFC", text)
        _count(counts, "not_nfc", max(1, len(text) - len(composed)))
        text = composed
    return text, counts


def added(several: Iterable[Repairs]) -> dict[str, int]:
    """Add up repairs.

    >>> added([{"nul": 1}, {"nul": 2, "bom": 1}])
    {'nul': 3, 'bom': 1}
    """
    total: dict[str, int] = {}
    for repairs in several:
        for kind, n in repairs.items():
            total[kind] = total.get(kind, 0) + n
    return total


def _mend_controls(text: str, counts: dict[str, int]) -> str:
    found = CONTROL.findall(text)
    if not found:
        return text
    n_nul, n_bom = found.count("\x00"), found.count("\ufeff")
    for kind, n in (("bom", n_bom), ("nul", n_nul), ("control", len(found) - n_nul - n_bom)):
        _count(counts, kind, n)
    return CONTROL.sub("", text)


def _mend_mojibake(text: str) -> tuple[str, int]:
    """Let ftfy mend the lines that look like wrongly decoded UTF-8; return how many it changed."""
    if not _MOJIBAKE.search(text):
        return text, 0
    from ftfy import fix_encoding

    lines = text.split("\n")
    n = 0
    for number, line in enumerate(lines):
        if _MOJIBAKE.search(line) and (fixed := fix_encoding(line)) != line:
            lines[number] = fixed
            n += 1
    return "\n".join(lines), n


def _count(counts: dict[str, int], kind: str, n: int) -> None:
    if n:
        counts[kind] = counts.get(kind, 0) + n
