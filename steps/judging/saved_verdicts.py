"""What judges said of items, out of the run's table of verdicts or a JSONL file of saved outputs."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from steps.errors import InputError
from steps.rows import VERDICTS, table

#: Names and kinds under which the detector of broken answers appears.
DEFECT = frozenset({"defect", "defect_score"})


@dataclass
class Judged:
    """One judge on many items."""

    name: str
    fingerprint: str
    scores: dict[str, float] = field(default_factory=dict)
    """Of single answers."""
    ab: dict[str, float] = field(default_factory=dict)
    """Of pairs shown in their order: P(the pair's first answer is better)."""
    ba: dict[str, float] = field(default_factory=dict)
    """Of pairs shown swapped: still P(the pair's first answer is better), that is 1 − the score."""
    criteria: dict[str, dict[str, float]] = field(default_factory=dict)
    """Criterion -> item -> its score; of pairs the mean over orders of P(first)."""
    n_unscored: int = 0
    """Verdicts without a score."""

    @property
    def is_defect(self) -> bool:
        """Whether it is the detector of broken answers, which ranks nothing."""
        return self.name in DEFECT

    def preferences(self) -> dict[str, float]:
        """Return P(first is better) of each pair: the mean of both orders, and nothing where one of them failed.

        Of a judge that was asked in one order only, that order.
        """
        if not self.ab or not self.ba:
            return {**self.ab, **self.ba}
        return {item: (first + self.ba[item]) / 2 for item, first in self.ab.items() if item in self.ba}


def judges_of(verdicts: pa.Table) -> list[Judged]:
    """Return the judges of a table of schema `rows.VERDICTS`, by name; the last verdict on an item counts."""
    found: dict[str, Judged] = {}
    sums: dict[tuple[str, str, str], dict[str | None, float]] = defaultdict(dict)
    names = ("item_id", "judge", "fingerprint", "score", "order", "criteria")
    for item, name, fingerprint, score, order, criteria in zip(*(verdicts[n].to_pylist() for n in names), strict=True):
        judged = found.setdefault(fingerprint, Judged(name, fingerprint))
        if score is None:
            judged.n_unscored += 1
            continue
        if order is None:
            judged.scores[item] = score
        else:
            side = judged.ab if order == "ab" else judged.ba
            side[item] = score if order == "ab" else 1 - score
        for criterion, value in criteria or ():
            sums[fingerprint, criterion, item][order] = 1 - value if order == "ba" else value
    for (fingerprint, criterion, item), values in sums.items():
        found[fingerprint].criteria.setdefault(criterion, {})[item] = sum(values.values()) / len(values)
    return sorted(found.values(), key=lambda judged: (judged.name, judged.fingerprint))


def read_verdicts(path: Path) -> pa.Table:
    """Read saved judge outputs: JSON lines with `item_id`, `judge`, `score`, and of pairs `order`.

    `fingerprint` may stand there; without one it is made of the judge's name, so that a calibration of these outputs
    holds for no judge of a config.

    Raises:
        InputError: naming file, line and key.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--verdicts {path} cannot be read: {error}") from error
    rows = [_verdict(f"{path}, line {number}", line) for number, line in enumerate(lines, start=1) if line.strip()]
    if not rows:
        raise InputError(f"--verdicts {path} holds no verdict; each line is an object with item_id, judge and score")
    return table(rows, VERDICTS)


def refuse_defect(judges: Sequence[Judged]) -> None:
    """Refuse preferences and win rates of the defect detector.

    Raises:
        InputError: if one of the judges is it.
    """
    for judged in judges:
        if judged.is_defect:
            raise InputError(
                f"judge {judged.name} tells broken answers from whole ones, not better from worse: preferences and win "
                "rates of it are refused (it learns length, and agrees with people on 0.20 of adversarial pairs). Take "
                "its verdicts out, and compare pairs with a judge of type llm, decision, reward_model or classifier"
            )


def _verdict(place: str, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise InputError(f"{place}: not JSON: {error}") from None
    if not isinstance(row, Mapping):
        raise InputError(f"{place}: {type(row).__name__}, not an object with item_id, judge and score")
    lacking = [name for name in ("item_id", "judge", "score") if name not in row]
    if lacking:
        raise InputError(f"{place}: lacks the key {lacking[0]}; a verdict has item_id, judge, score and perhaps order")
    score, order = row["score"], row.get("order")
    if score is not None and (isinstance(score, bool) or not isinstance(score, int | float) or score != score):
        raise InputError(f"{place}, key score: {score!r} is neither a number nor null (unscored)")
    if order not in {None, "ab", "ba"}:
        raise InputError(f"{place}, key order: {order!r} is neither ab, ba (swapped) nor null (a single answer)")
    if order is not None and score is not None and not 0 <= score <= 1:
        raise InputError(f"{place}, key score: {score!r} of a pair must be P(the answer shown first is better), 0 to 1")
    name = str(row["judge"])
    fingerprint = row.get("fingerprint") or hashlib.sha256(f"saved outputs of {name}".encode()).hexdigest()
    criteria = row.get("criteria") or {}
    if not isinstance(criteria, Mapping):
        raise InputError(f"{place}, key criteria: {type(criteria).__name__}, not an object of criterion and score")
    known = {key: row[key] for key in ("rationale", "raw", "model", "unscored_reason") if key in row}
    return {
        **known,
        "item_id": str(row["item_id"]),
        "judge": name,
        "fingerprint": fingerprint,
        "score": score,
        "order": order,
        "criteria": [(key, float(value)) for key, value in criteria.items()],
    }
