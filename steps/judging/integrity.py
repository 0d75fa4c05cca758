"""A judge reads rows and never changes one: ids and content hashes are compared before and after."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from steps.errors import LedgerError
from steps.judging.verdict import Item, Judge, Pair, PairwiseJudge, Verdict

#: Rows that are turned into Python values at once.
_BATCH = 4096


def row_hashes(rows: pa.Table, id_column: str = "id") -> dict[str, str]:
    """Return the SHA-256 of each row, over all its columns, by id.

    Raises:
        LedgerError: if an id occurs twice.
    """
    found: dict[str, str] = {}
    for batch in rows.to_batches(max_chunksize=_BATCH):
        for row in batch.to_pylist():
            row_id = row[id_column]
            if row_id in found:
                raise LedgerError(f"row {row_id} occurs twice in the table that is judged; ids are unique by contract")
            found[row_id] = _hash(row)
    return found


def check_rows_unchanged(before: Mapping[str, str], judged: pa.Table, added: Iterable[str], stage: str) -> None:
    """Check that a judged table holds rows of before, each as it was.

    Args:
        before: `row_hashes` of what was given to the judges.
        judged: What came back, possibly fewer rows and with further columns.
        added: Names of the further columns.
        stage: For the error.

    Raises:
        LedgerError: if a row is new, occurs twice, or has another content.
    """
    after = row_hashes(judged.drop_columns([name for name in added if name in judged.column_names]))
    for row_id, content in after.items():
        if row_id not in before:
            raise LedgerError(f"stage {stage} returned row {row_id}, which it never received")
        if before[row_id] != content:
            raise LedgerError(
                f"stage {stage} changed row {row_id} while judging it (SHA-256 {before[row_id][:12]} before, "
                f"{content[:12]} after); a verdict stands beside a row and never in it"
            )


def score_unchanged(judge: Judge, items: Sequence[Item]) -> list[Verdict]:
    """Let a judge score items, and check that it kept its hands off them and answered for each.

    Raises:
        LedgerError: if an item changed, verdicts and items do not line up, or a verdict has both a score and a reason
            for none, or neither.
    """
    before = [_hash(item._asdict()) for item in items]
    verdicts = judge.score(items)
    _check_items(judge.name, items, before)
    if len(verdicts) != len(items):
        raise LedgerError(f"judge {judge.name} returned {len(verdicts)} verdicts for {len(items)} items")
    for item, verdict in zip(items, verdicts, strict=True):
        _check_verdict(judge.name, item.item_id, verdict, judge.scale)
    return verdicts


def compare_unchanged(judge: PairwiseJudge, pairs: Sequence[Pair]) -> list[tuple[Verdict, Verdict]]:
    """Let a judge compare pairs, and check that it kept its hands off them and answered for each, in both orders.

    Raises:
        LedgerError: as `score_unchanged`, or if an order is missing.
    """
    before = [_hash(pair._asdict()) for pair in pairs]
    verdicts = judge.compare(pairs)
    _check_items(judge.name, pairs, before)
    if len(verdicts) != len(pairs):
        raise LedgerError(f"judge {judge.name} returned {len(verdicts)} comparisons for {len(pairs)} pairs")
    for pair, both in zip(pairs, verdicts, strict=True):
        if tuple(verdict.order for verdict in both) != ("ab", "ba"):
            orders = [verdict.order for verdict in both]
            raise LedgerError(f"judge {judge.name} compared {pair.item_id} in the orders {orders}, not ab and ba")
        for verdict in both:
            _check_verdict(judge.name, pair.item_id, verdict, (0.0, 1.0))
    return verdicts


def _check_items(name: str, items: Sequence[Item | Pair], before: Sequence[str]) -> None:
    for item, content in zip(items, before, strict=True):
        if _hash(item._asdict()) != content:
            raise LedgerError(f"judge {name} changed item {item.item_id} while judging it")


def _check_verdict(name: str, item_id: str, verdict: Verdict, scale: tuple[float, float]) -> None:
    if verdict.item_id != item_id:
        raise LedgerError(f"judge {name} returned a verdict on {verdict.item_id} where {item_id} was asked about")
    if (verdict.score is None) == (verdict.unscored_reason is None):
        raise LedgerError(
            f"judge {name} returned for {item_id} the score {verdict.score} and the reason {verdict.unscored_reason}; "
            "a verdict has exactly one of them"
        )
    # A weighted mean of levels may miss the scale's end by a rounding error.
    if verdict.score is not None and not scale[0] - 1e-9 <= verdict.score <= scale[1] + 1e-9:
        raise LedgerError(f"judge {name} scored {item_id} {verdict.score}, outside its scale {scale[0]} to {scale[1]}")


def _hash(row: Mapping[str, Any]) -> str:
    canonical = json.dumps(row, sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()
