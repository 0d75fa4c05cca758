"""What the rules do to a table of examples: how many rows each drops, where, which ones stand at its border.

Other than filtering, which stops at a row's first failure, an audit asks every rule about every row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field

from steps.filtering.batch import Batch, Outcome, TokenCounter
from steps.filtering.border import Border
from steps.filtering.engine import ActiveRule, beyond, failures_of
from steps.filtering.rules import FilteringSettings, active_rules
from steps.filtering.slices import SliceSettings, Slicing, slicings_of
from steps.filtering.uneven import UnevenSettings, uneven_rules
from steps.settings import Settings
from steps.tables import BATCH_ROWS

Mask = npt.NDArray[np.bool_]


class AuditSettings(Settings):
    """How much is looked at, and what is reported."""

    max_rows: int = Field(50_000, ge=1)
    """Rows audited at most; of a larger table a random sample. A rate of 1 % is then known to 0.1 %."""
    n_examples: int = Field(3, ge=0)
    """Rows shown on each side of a border."""
    slices: SliceSettings = SliceSettings()
    uneven: UnevenSettings = UnevenSettings()
    seed: int = Field(7, ge=0)
    """Seed of the sample and of the topics."""


class Findings(NamedTuple):
    """What the rules found in the rows.

    Attributes:
        failed: Per (family, reason), which rows fail; in the order in which the rules are applied.
        first: Per row the place in `failed` of the reason that filtering names; -1 for a row that stays.
        remarked: Per reason, how many rows stay with that remark.
        borders: Per (family, reason), the rows next to its bound.
    """

    failed: dict[tuple[str, str], Mask]
    first: npt.NDArray[np.int64]
    remarked: dict[str, int]
    borders: dict[tuple[str, str], Border]


def audit(
    examples: pa.Table,
    settings: FilteringSettings,
    audit_settings: AuditSettings | None = None,
    count_tokens: TokenCounter | None = None,
) -> dict[str, Any]:
    """Ask every rule about every row.

    Args:
        examples: Schema `EXAMPLES`.
        settings: The rules.
        audit_settings: What is reported; None for the defaults.
        count_tokens: Token counter of the base model; needed when a length rule counts tokens.

    Returns:
        A report as plain JSON: `n_rows, n_audited, n_dropped, rules, silent, remarks, slices, uneven`.

    Raises:
        ConfigError: if tokens are to be counted and `count_tokens` is None.
    """
    chosen = audit_settings or AuditSettings()
    rows = _sample(examples, chosen.max_rows, chosen.seed)
    rules = list(active_rules(settings))
    found = find(rows, rules, chosen.n_examples, count_tokens)
    slicings = slicings_of(rows, chosen.slices, chosen.seed)
    any_failed = found.first >= 0
    return {
        "n_rows": examples.num_rows,
        "n_audited": rows.num_rows,
        "n_dropped": int(any_failed.sum()),
        "rules": [_rule(key, found, rows.num_rows) for key, mask in found.failed.items() if mask.any()],
        "silent": _silent(found, rules),
        "remarks": found.remarked,
        "slices": [_slices(slicing, any_failed, found) for slicing in slicings],
        "uneven": uneven_rules(found.failed, slicings, chosen.uneven),
    }


def find(
    rows: pa.Table, rules: Sequence[ActiveRule], n_examples: int, count_tokens: TokenCounter | None = None
) -> Findings:
    """Apply the rules to the rows, batch by batch, without leaving any row out."""
    failed: dict[tuple[str, str], Mask] = {}
    first = np.full(rows.num_rows, -1, np.int64)
    places: dict[tuple[str, str], int] = {}
    remarked: dict[str, int] = {}
    borders: dict[tuple[str, str], Border] = {}
    for start in range(0, rows.num_rows, BATCH_ROWS):
        batch = Batch(rows.slice(start, BATCH_ROWS), count_tokens)
        for name, rule, settings in rules:
            outcome = rule(batch, settings)
            for reason, mask in _masks(outcome, batch.n_rows):
                whole = failed.setdefault((name, reason), np.zeros(rows.num_rows, np.bool_))
                whole[start : start + batch.n_rows] |= mask
            for place, failure in failures_of(outcome).items():
                if first[start + place] < 0:
                    first[start + place] = places.setdefault((name, failure.reason.value), len(places))
            for remark in outcome.remarks:
                remarked[remark.reason.value] = remarked.get(remark.reason.value, 0) + 1
            _note_borders(name, outcome, batch, borders, n_examples)
            if outcome.contents is not None:
                batch = batch.with_contents(outcome.contents)
    order = {key: place for place, key in enumerate(failed)}
    renamed = np.array([order[key] for key in places] or [0], np.int64)
    return Findings(failed, np.where(first >= 0, renamed[first], -1), remarked, borders)


def _sample(examples: pa.Table, max_rows: int, seed: int) -> pa.Table:
    if examples.num_rows <= max_rows:
        return examples
    chosen = np.random.default_rng(seed).choice(examples.num_rows, max_rows, replace=False)
    return examples.take(pa.array(np.sort(chosen)))


def _masks(outcome: Outcome, n_rows: int) -> Iterator[tuple[str, Mask]]:
    """Yield, per reason, which rows of a batch fail for it, whether or not they fail for another as well."""
    for measure in outcome.measures:
        for reason, mask in zip((measure.too_low, measure.too_high), beyond(measure), strict=True):
            if reason is not None and (measure.low if reason == measure.too_low else measure.high) is not None:
                yield reason.value, mask
    said: dict[str, Mask] = {}
    for failure in outcome.failures:
        said.setdefault(failure.reason.value, np.zeros(n_rows, np.bool_))[failure.position] = True
    yield from said.items()


def _note_borders(
    name: str, outcome: Outcome, batch: Batch, borders: dict[tuple[str, str], Border], n_examples: int
) -> None:
    details = {(failure.position, failure.reason): failure.detail for failure in outcome.failures}
    measured = set()
    for measure in outcome.measures:
        for reason, bound, sign in ((measure.too_low, measure.low, -1.0), (measure.too_high, measure.high, 1.0)):
            if reason is not None and bound is not None:
                measured.add(reason)
                border = borders.setdefault((name, reason.value), Border(n_examples, bound, sign))
                border.note(measure.values, batch, {row: text for (row, why), text in details.items() if why == reason})
    for failure in outcome.failures:
        if failure.reason not in measured:
            border = borders.setdefault((name, failure.reason.value), Border(n_examples, None, 1.0))
            border.note_failure(failure, batch)


def _rule(key: tuple[str, str], found: Findings, n_rows: int) -> dict[str, Any]:
    family, reason = key
    mask = found.failed[key]
    others = sum(other.astype(np.int64) for other in found.failed.values())
    place = list(found.failed).index(key)
    border = found.borders.get(key)
    return {
        "family": family,
        "reason": reason,
        "bound": border.shown if border else "",
        "n_dropped": int(mask.sum()),
        "rate": float(mask.mean()),
        "n_named": int((found.first == place).sum()),
        "n_alone": int((mask & (others == 1)).sum()),
        "just_kept": border.kept if border else [],
        "just_dropped": border.dropped if border else [],
    }


def _silent(found: Findings, rules: Sequence[ActiveRule]) -> list[str]:
    """Return the rules that no row fails: reasons of measures, and families that found nothing."""
    reasons = [reason for (_, reason), mask in found.failed.items() if not mask.any()]
    heard = {family for family, _ in found.failed}
    return reasons + [rule.name for rule in rules if rule.name not in heard]


def _slices(slicing: Slicing, any_failed: Mask, found: Findings) -> dict[str, Any]:
    entries = []
    names = [reason for _, reason in found.failed]
    for place, label in enumerate(slicing.labels):
        inside = slicing.codes == place
        if not inside.any():
            continue
        firsts = found.first[inside & any_failed]
        common = names[int(np.bincount(firsts).argmax())] if len(firsts) else None
        entries.append(
            {
                "slice": label,
                "n_rows": int(inside.sum()),
                "n_dropped": int((inside & any_failed).sum()),
                "rate": float(any_failed[inside].mean()),
                "most_common": common,
            }
        )
    return {"dimension": slicing.dimension, "slices": sorted(entries, key=lambda entry: -entry["n_rows"])}
