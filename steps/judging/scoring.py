"""From rows to the items that judges grade, and from verdicts to the columns that judging adds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from steps.judging.calibration import jury_fingerprint
from steps.judging.judging_settings import JudgingSettings
from steps.judging.jury import Combined, combine
from steps.judging.verdict import Item, Judge, Unscored, Verdict
from steps.rows import JUDGEMENT, prompt_and_answer
from steps.tables import batches_of


class Items(NamedTuple):
    """What of a table can be judged."""

    at: npt.NDArray[np.int64]
    """Positions of the rows."""
    items: list[Item]
    missing: dict[int, str]
    """Position -> why the row cannot be judged."""


NOTHING = Items(np.arange(0), [], {})


def items_of(examples: pa.Table, documents: pa.Table | None) -> Items:
    """Return what can be judged; with documents, each item's reference is the text that it was made from."""
    found = Items(np.arange(0), [], {})
    at: list[int] = []
    names = ["id", "group_id", "messages"]
    position = 0
    for batch in batches_of(examples.select(names)):
        for row_id, group, messages in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            try:
                prompt, answer = prompt_and_answer(messages)
            except ValueError as error:
                found.missing[position] = str(error)
            else:
                at.append(position)
                found.items.append(Item(row_id, prompt, answer, group_id=group))
            position += 1
    items = found.items
    if documents is not None:
        sources = _sources(examples, documents)
        items = [item._replace(reference=sources[i]) for item, i in zip(items, at, strict=True)]
    return Items(np.array(at, np.int64), items, found.missing)


def _sources(examples: pa.Table, documents: pa.Table) -> list[str | None]:
    """Return the span of the document behind each row, the whole document where the row names no span."""
    texts = dict(zip(documents["id"].to_pylist(), documents["text"].to_pylist(), strict=True))
    columns = (examples[name].to_pylist() for name in ("document_id", "span_start", "span_end"))
    return [
        texts[document][start:end] if document in texts else None for document, start, end in zip(*columns, strict=True)
    ]


def with_scores(
    examples: pa.Table,
    settings: JudgingSettings,
    weights: Mapping[str, float] | None,
    judges: Sequence[Judge],
    found: Mapping[str, Sequence[Verdict]],
    at: npt.NDArray[np.int64],
    missing: Mapping[int, str],
) -> tuple[pa.Table, pa.Array, list[Combined]]:
    """Return the rows with the columns of `rows.JUDGEMENT`, a remark for each row's ledger, and a jury's say."""
    n = examples.num_rows
    if not judges:
        same: dict[str, Any] = {"unscored_reason": Unscored.NOT_JUDGED.value, "judge": "none", "judge_version": ""}
        columns = {name: pa.repeat(pa.scalar(value, pa.string()), n) for name, value in same.items()}
        return _with_judgement(examples, columns), pa.nulls(n, pa.string()), []
    lines: Mapping[str, Sequence[Any]]
    combined: list[Combined] = []
    name, version = judges[0].name, judges[0].fingerprint
    if len(judges) == 1:
        lines = _of_judge(found[name])
    else:
        scales = {judge.name: judge.scale for judge in judges}
        level = settings.pass_level
        combined = combine(found, settings.aggregate, weights, settings.quorum, scales=scales, pass_level=level)
        lines = _of_jury(combined, found)
        name, version = f"jury:{settings.aggregate}", jury_fingerprint(judge.fingerprint for judge in judges)
    values: dict[str, pa.Array] = {}
    for key, kind in (*((field.name, field.type) for field in JUDGEMENT), ("detail", pa.string())):
        if key in lines:
            values[key] = _spread(lines[key], at, n, kind)
    values["judge"], values["judge_version"] = (pa.repeat(pa.scalar(one), n) for one in (name, version))
    if missing:
        without = np.zeros(n, bool)
        without[list(missing)] = True
        mask = pa.array(without)
        reason = pa.scalar(Unscored.NO_ANSWER.value, pa.string())
        values["unscored_reason"] = pc.if_else(mask, reason, values["unscored_reason"])
        values["detail"] = pc.if_else(mask, pa.array([missing.get(i) for i in range(n)], pa.string()), values["detail"])
    return _with_judgement(examples, values), values["detail"], combined


def _of_judge(verdicts: Sequence[Verdict]) -> dict[str, Sequence[Any]]:
    return {
        "score": [one.score for one in verdicts],
        "unscored_reason": [one.unscored_reason for one in verdicts],
        "rationale": [one.rationale for one in verdicts],
        "cost_usd": [_cost([one]) for one in verdicts],
        "detail": [one.detail for one in verdicts],
    }


def _of_jury(combined: Sequence[Combined], found: Mapping[str, Sequence[Verdict]]) -> dict[str, Sequence[Any]]:
    rows = list(zip(*found.values(), strict=True))
    return {
        "score": [one.score for one in combined],
        "unscored_reason": [one.unscored_reason for one in combined],
        "rationale": [
            "\n".join(f"{one.judge}: {one.rationale}" for one in row if one.rationale) or None for row in rows
        ],
        "cost_usd": [_cost(row) for row in rows],
        "disagreement": [one.disagreement for one in combined],
        "detail": [one.detail for one in combined],
    }


def _cost(verdicts: Sequence[Verdict]) -> float | None:
    """Sum what the verdicts did cost when they were paid for; None if a price is unknown."""
    costs = [one.reply.cost_usd for one in verdicts if one.reply is not None]
    return None if None in costs else float(sum(cost for cost in costs if cost is not None))


def _spread(values: Sequence[Any], at: npt.NDArray[np.int64], n: int, kind: pa.DataType) -> pa.Array:
    """Put the values to their rows; the others are null."""
    column = pa.array(values, kind)
    if len(at) == n:
        return column
    where = np.full(n, -1)
    where[at] = np.arange(len(at))
    return column.take(pa.array(where, mask=where < 0))


def _with_judgement(examples: pa.Table, values: Mapping[str, pa.Array]) -> pa.Table:
    for field in JUDGEMENT:
        column = values.get(field.name)
        examples = examples.append_column(field, pa.nulls(len(examples), field.type) if column is None else column)
    return examples
