"""What is to be hidden in a conversation: found in all turns, and dropped, masked or reported.

Masks are typed and numbered through a conversation, `<EMAIL_1>`, so that the same address stays the same person. The
ledger never shows what was found: only its kind, how often, and the first and last character.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from steps.filtering.batch import Batch, Outcome
from steps.filtering.candidates import Candidate
from steps.filtering.row import Failure, FilterReason

#: `drop` the row, `mask` what was found and say so in the ledger, or only `report` it there.
Mode = Literal["drop", "mask", "report"]


class Finding(NamedTuple):
    """A stretch of a turn that is not to be shown.

    Attributes:
        category: What it is; its upper case is the mask.
        start: Offset of its first character in the turn.
        end: Offset after its last.
        same_as: What equal values have in common, in whatever way they are written.
    """

    category: str
    start: int
    end: int
    same_as: str


class Reasons(NamedTuple):
    """What the ledger says of a row, by what was done."""

    dropped: FilterReason
    masked: FilterReason
    reported: FilterReason


def hide(
    batch: Batch,
    findings: Iterable[tuple[Candidate, Sequence[Finding]]],
    modes: Mapping[str, Mode],
    reasons: Reasons,
) -> Outcome:
    """Return what becomes of the rows in which something was found.

    Args:
        batch: The rows.
        findings: Turns, in order, with what was found in each; overlaps are settled in favour of the longest.
        modes: What to do with each category.
        reasons: What the ledger says.
    """
    by_row: dict[int, list[tuple[Candidate, list[Finding]]]] = {}
    for candidate, found in findings:
        if found:
            by_row.setdefault(candidate.row, []).append((candidate, without_overlaps(found)))
    failures, remarks, rewritten = [], [], {}
    for row, turns in by_row.items():
        everything = [(candidate.text, finding) for candidate, found in turns for finding in found]
        if any(modes[finding.category] == "drop" for _, finding in everything):
            dropped = [(text, finding) for text, finding in everything if modes[finding.category] == "drop"]
            failures.append(Failure(row, reasons.dropped, float(len(dropped)), _described(dropped)))
            continue
        rewritten.update(_masked(turns, modes))
        any_masked = any(modes[finding.category] == "mask" for _, finding in everything)
        reason = reasons.masked if any_masked else reasons.reported
        remarks.append(Failure(row, reason, float(len(everything)), _described(everything)))
    return Outcome(failures, remarks, _replaced(batch.contents, rewritten) if rewritten else None)


def without_overlaps(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings in order of place; of two that overlap, the longer one.

    >>> [f.category for f in without_overlaps([Finding("url", 0, 9, ""), Finding("email", 4, 9, "")])]
    ['url']
    """
    kept: list[Finding] = []
    for finding in sorted(findings, key=lambda finding: (finding.start - finding.end, finding.start)):
        if all(finding.end <= other.start or finding.start >= other.end for other in kept):
            kept.append(finding)
    return sorted(kept, key=lambda finding: finding.start)


def _masked(turns: Sequence[tuple[Candidate, Sequence[Finding]]], modes: Mapping[str, Mode]) -> dict[int, str]:
    """Return the new text of each turn in which something is masked."""
    numbers: dict[tuple[str, str], int] = {}
    counts: Counter[str] = Counter()
    texts = {}
    for candidate, found in turns:
        parts, end = [], 0
        for finding in found:
            if modes[finding.category] != "mask":
                continue
            key = (finding.category, finding.same_as)
            if key not in numbers:
                counts[finding.category] += 1
                numbers[key] = counts[finding.category]
            parts += [candidate.text[end : finding.start], f"<{finding.category.upper()}_{numbers[key]}>"]
            end = finding.end
        if parts:
            texts[candidate.turn] = "".join([*parts, candidate.text[end:]])
    return texts


def _described(found: Sequence[tuple[str, Finding]]) -> str:
    """Return the categories with their counts, and the outline of the first of each."""
    counts = Counter(finding.category for _, finding in found)
    first: dict[str, str] = {}
    for text, finding in found:
        first.setdefault(finding.category, outline(text[finding.start : finding.end]))
    return ", ".join(f"{category} ×{count} ({first[category]})" for category, count in sorted(counts.items()))


def outline(value: str) -> str:
    """Return what may be shown of a value: its ends and its length.

    >>> outline("alice@acme.io")
    'a…o, 13 characters'
    """
    return f"{value[0]}…{value[-1]}, {len(value)} characters"


def _replaced(contents: pa.Array, texts: Mapping[int, str]) -> pa.Array:
    turns = sorted(texts)
    chosen = pc.is_in(pa.array(range(len(contents)), pa.int64()), value_set=pa.array(turns, pa.int64()))
    return pc.replace_with_mask(contents, chosen, pa.array([texts[turn] for turn in turns], contents.type))
