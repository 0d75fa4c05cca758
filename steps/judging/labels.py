"""The file that people label in: CSV or JSON lines, one row per item, display order and annotator.

A row of a pair shows two answers as A and B; `order` says which is which: with `ab` answer A is the pair's first, with
`ba` its second. A label is what the person saw (`A`, `B`, `tie`), and becomes a statement on first and second only when
it is read. A row of a single answer has a label on its `scale`: `1-5`, or `yes-no`. `skip` says: I cannot tell.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from steps.errors import InputError

PAIR_COLUMNS = ("task_id", "item_id", "order", "source", "kind", "prompt", "answer_a", "answer_b")
ANSWER_COLUMNS = ("task_id", "item_id", "scale", "source", "kind", "prompt", "answer")
LABEL_COLUMNS = ("annotator", "label", "comment")
#: Before the name of a criterion that is labelled besides the whole.
CRITERION = "label."
YES_NO, SKIP = "yes-no", "skip"
_PAIR_LABELS = {"a": 1.0, "b": 0.0, "tie": 0.5}
_SCALE = re.compile(r"(-?\d+)-(-?\d+)")
_YES_NO = {"yes": 1.0, "no": 0.0}
#: A spreadsheet reads a cell that begins so as a formula; an apostrophe before it makes it text (OWASP, "CSV
#: injection"). It is taken off again on reading.
_FORMULA = re.compile(r"'?[=+\-@\t\r]")
#: A column with one of these is free text and may begin with anything.
_TEXTS = ("source", "kind", "prompt", "answer", "answer_a", "answer_b", "comment", "annotator")

Row = dict[str, str]


class Label(NamedTuple):
    """One statement of one person about one item."""

    item_id: str
    annotator: str
    value: float | None
    """Of a pair 1 for its first answer, 0 for its second, 0.5 for a tie; of an answer its value on the scale; None if
    the person skipped it."""
    order: str | None
    """Which answer stood first: `ab`, `ba`; None for single answers."""
    criteria: Mapping[str, float]
    source: str
    kind: str
    texts: tuple[str, ...]
    """The answer, or the first and the second answer of the pair, however they were shown."""
    place: str
    """File and row, for messages."""


def is_pair(row: Mapping[str, str]) -> bool:
    """Whether a row shows two answers."""
    return "answer_a" in row


def read_rows(path: Path) -> list[Row]:
    """Read the rows of a label file, every value as text.

    Raises:
        InputError: if the file is not there, is neither CSV nor JSON lines, or lacks a column.
    """
    try:
        content = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; write one with `tunesmith calibrate sample CONFIG`") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    except UnicodeDecodeError as error:
        row = error.object[: error.start].count(b"\n") + 1
        raise InputError(f"{path}, line {row}: not UTF-8; save it as `CSV UTF-8` from the spreadsheet") from None
    rows = _json_rows(path, content) if path.suffix in {".jsonl", ".json"} else _csv_rows(path, content)
    if not rows:
        raise InputError(f"{path} holds no row; write one with `tunesmith calibrate sample CONFIG`")
    needed = [*(PAIR_COLUMNS if is_pair(rows[0]) else ANSWER_COLUMNS), *LABEL_COLUMNS]
    lacking = [name for name in needed if name not in rows[0] and name not in {"task_id", "source", "kind", "comment"}]
    if lacking:
        raise InputError(f"{path} lacks the column {lacking[0]}; it has {', '.join(rows[0])}")
    return rows


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write the rows so that a crash leaves the old file or the new one, whole and on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.part")
    with beside.open("w", encoding="utf-8", newline="", errors="backslashreplace") as file:
        file.write(_as_json_lines(rows) if path.suffix in {".jsonl", ".json"} else _as_csv(rows))
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def labels_of(path: Path, rows: Sequence[Row]) -> list[Label]:
    """Return the labels of the rows that have one.

    Raises:
        InputError: naming file, row and column, if a value is not one of the allowed.
    """
    return [_label(f"{path}, row {number}", row) for number, row in enumerate(rows, start=1) if row["label"].strip()]


def read_labels(paths: Iterable[Path]) -> list[Label]:
    """Read the labels of several files.

    Raises:
        InputError: if a file cannot be read, a label is not allowed, somebody labelled one thing twice, or no label is
            found at all.
    """
    labels = [label for path in paths for label in labels_of(path, read_rows(path))]
    if not labels:
        raise InputError(
            "no row has a label yet; label some with `tunesmith calibrate label FILE`, or in a spreadsheet"
        )
    if len({len(label.texts) for label in labels}) > 1:
        raise InputError("some labels are of pairs and some of single answers; report on them one after the other")
    seen: dict[tuple[str, str, str | None], str] = {}
    for label in labels:
        key = (label.annotator, label.item_id, label.order)
        if key in seen:
            raise InputError(
                f"{label.place}: annotator {label.annotator!r} has labelled item {label.item_id} before, in "
                f"{seen[key]}; delete one of the two rows, or correct the column annotator"
            )
        seen[key] = label.place
    return labels


def bounds_of(scale: str) -> tuple[int, int] | None:
    """Return lowest and highest level; None for `yes-no`.

    >>> bounds_of("1-5"), bounds_of("yes-no")
    ((1, 5), None)

    Raises:
        ValueError: if it is neither.
    """
    if scale == YES_NO:
        return None
    found = _SCALE.fullmatch(scale)
    if not found or not int(found[1]) < int(found[2]) <= int(found[1]) + 100:
        raise ValueError(f"{scale!r} is no scale; write yes-no, or lowest-highest such as 1-5")
    return int(found[1]), int(found[2])


def value_of(row: Mapping[str, str], label: str) -> float | None:
    """Return a label's value, of a pair as it was shown; None for `skip`.

    Raises:
        ValueError: saying what is allowed.
    """
    said = label.strip().casefold()
    if said == SKIP:
        return None
    allowed: Mapping[str, float] = _PAIR_LABELS if is_pair(row) else _YES_NO
    bounds = None if is_pair(row) else bounds_of(row["scale"])
    if bounds is not None:
        allowed = {str(level): float(level) for level in range(bounds[0], bounds[1] + 1)}
        said = said.removesuffix(".0")
    if said not in allowed:
        shown = "A, B, tie" if is_pair(row) else row["scale"].replace("-", " to " if bounds else ", ")
        raise ValueError(f"{label!r} is not one of {shown}, or {SKIP}")
    return allowed[said]


def _label(place: str, row: Row) -> Label:
    annotator = row["annotator"].strip()
    if not annotator:
        raise InputError(f"{place}, column annotator: empty, though the row has a label; say who gave it")
    values: dict[str, float | None] = {}
    for column in ["label", *(name for name in row if name.startswith(CRITERION) and row[name].strip())]:
        try:
            values[column] = value_of(row, row[column])
        except ValueError as error:
            raise InputError(f"{place}, column {column}: {error}") from None
    order: str | None = None
    texts: tuple[str, ...] = (row.get("answer", ""),)
    if is_pair(row):
        order, texts = row["order"].strip(), (row["answer_a"], row["answer_b"])
        if order not in {"ab", "ba"}:
            raise InputError(f"{place}, column order: {order!r} is neither ab (A is the pair's first answer) nor ba")
        if order == "ba":
            texts = texts[::-1]
            values = {name: None if value is None else 1 - value for name, value in values.items()}
    criteria = {
        name.removeprefix(CRITERION): value for name, value in values.items() if name != "label" and value is not None
    }
    origin = (row.get("source", ""), row.get("kind", ""))
    return Label(row["item_id"], annotator, values["label"], order, criteria, *origin, texts, place)


def _json_rows(path: Path, content: str) -> list[Row]:
    rows = []
    for number, line in enumerate(content.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise InputError(f"{path}, line {number}: not JSON: {error}") from None
        if not isinstance(row, dict):
            raise InputError(f"{path}, line {number}: {type(row).__name__}, not an object with the label's columns")
        rows.append({name: "" if value is None else str(value) for name, value in row.items()})
    names = list(dict.fromkeys(name for row in rows for name in row))
    return [{name: row.get(name, "") for name in names} for row in rows]


def _csv_rows(path: Path, content: str) -> list[Row]:
    header = content.split("\n", 1)[0]
    delimiter = max(",;\t", key=header.count)
    csv.field_size_limit(1 << 30)  # an answer may be longer than the 128 KiB that the library allows by default
    read = csv.DictReader(io.StringIO(content, newline=""), delimiter=delimiter)
    rows = []
    try:
        for number, row in enumerate(read, start=1):
            if None in row or None in row.values():
                raise InputError(
                    f"{path}, row {number}: not as many columns as the header has; a text with {delimiter!r} in it "
                    "must stand in quotes"
                )
            rows.append({name: _without_guard(value) if name in _TEXTS else value for name, value in row.items()})
    except csv.Error as error:
        raise InputError(f"{path}, line {read.line_num}: not CSV: {error}") from None
    return rows


def _as_json_lines(rows: Sequence[Row]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _as_csv(rows: Sequence[Row]) -> str:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, fieldnames=list(rows[0]))
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _guarded(value) if name in _TEXTS else value for name, value in row.items()})
    return out.getvalue()


def _guarded(text: str) -> str:
    return "'" + text if _FORMULA.match(text) else text


def _without_guard(text: str) -> str:
    return text[1:] if text.startswith("'") and _FORMULA.match(text[1:]) else text
