"""A label file that several people label in turn: what each has still to do, and each label written as it is given."""

from __future__ import annotations

import fcntl
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, TextIO

from steps.errors import InputError
from steps.judging.labels import CRITERION, Row, bounds_of, is_pair, labels_of, read_rows, value_of, write_rows

#: Longest name and comment, in characters.
_MAX_NAME, _MAX_COMMENT = 80, 4000


class LabelStore:
    """Reads the file anew before each change, so that what a spreadsheet saved meanwhile stays.

    Use it as a context manager: it holds the file alone, so that two servers never write over each other.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._held: TextIO | None = None
        self._changing = Lock()
        rows = read_rows(path)
        labels_of(path, rows)  # what cannot be reported on later is said now
        self.pairwise = is_pair(rows[0])
        for number, row in enumerate(rows, start=1):
            if not self.pairwise:
                _check_scale(f"{path}, row {number}", row)

    def __enter__(self) -> LabelStore:
        lock = self.path.with_name(f".{self.path.name}.lock")
        self._held = lock.open("w", encoding="utf-8")
        try:
            fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._held.close()
            raise InputError(
                f"{self.path} is being labelled by another `tunesmith calibrate label`; use that one, or stop it"
            ) from None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._held is not None:
            self.path.with_name(f".{self.path.name}.lock").unlink(missing_ok=True)
            self._held.close()

    def tasks(self, annotator: str) -> list[dict[str, Any]]:
        """Return what the person is shown, in the file's order, with the labels they have given and nobody else's.

        Raises:
            ValueError: if the name is empty or too long.
        """
        annotator = _name(annotator)
        rows = read_rows(self.path)
        own = {_task_id(row): row for row in rows if row["annotator"].strip() == annotator}
        tasks = {_task_id(row): row for row in rows}
        return [_shown(task_id, row, own.get(task_id)) for task_id, row in tasks.items()]

    def save(
        self, annotator: str, task_id: str, label: str, comment: str = "", criteria: Mapping[str, str] | None = None
    ) -> None:
        """Write a person's label: into their row of the task, else the empty one, else a new one below.

        Raises:
            ValueError: if the task is not in the file, or a label is not allowed.
        """
        annotator = _name(annotator)
        if len(comment) > _MAX_COMMENT:
            raise ValueError(f"a comment of {len(comment)} characters; at most {_MAX_COMMENT} are kept")
        with self._changing:
            rows = read_rows(self.path)
            of_task = [at for at, row in enumerate(rows) if _task_id(row) == task_id]
            if not of_task:
                raise ValueError(f"the file has no task {task_id}")
            changed = _changed(rows[of_task[0]], label, comment, criteria or {})
            own = [at for at in of_task if rows[at]["annotator"].strip() == annotator]
            free = [at for at in of_task if not rows[at]["annotator"].strip() and not rows[at]["label"].strip()]
            if own or free:
                at = (own or free)[0]
                rows[at] = {**rows[at], **changed, "annotator": annotator}
            else:
                rows.insert(of_task[-1] + 1, {**rows[of_task[0]], **changed, "annotator": annotator})
            write_rows(self.path, rows)

    def progress(self) -> dict[str, int]:
        """Return annotator -> number of labels; `""` -> number of tasks."""
        rows = read_rows(self.path)
        counts = {"": len({_task_id(row) for row in rows})}
        for row in rows:
            if row["label"].strip():
                counts[row["annotator"].strip()] = counts.get(row["annotator"].strip(), 0) + 1
        return counts


def _check_scale(place: str, row: Row) -> None:
    try:
        bounds_of(row["scale"])
    except ValueError as error:
        raise InputError(f"{place}, column scale: {error}") from None


def _name(annotator: str) -> str:
    name = annotator.strip()
    if not name or len(name) > _MAX_NAME or not name.isprintable():
        raise ValueError(f"a name has 1 to {_MAX_NAME} printable characters")
    return name


def _task_id(row: Row) -> str:
    return row.get("task_id") or f"{row['item_id']} {row.get('order', '')}".strip()


def _shown(task_id: str, row: Row, own: Row | None) -> dict[str, Any]:
    """Return a task as the page gets it; source, kind, ids and order stay out of sight."""
    said = own or {}
    criteria = [name for name in row if name.startswith(CRITERION)]
    scale = row.get("scale", "")
    return {
        "task_id": task_id,
        "prompt": row["prompt"],
        "answers": [row["answer_a"], row["answer_b"]] if is_pair(row) else [row["answer"]],
        "scale": scale,
        "levels": bounds_of(scale) if scale else None,
        "label": _as_offered(row, said.get("label", "")),
        "comment": said.get("comment", ""),
        "criteria": {name.removeprefix(CRITERION): _as_offered(row, said.get(name, "")) for name in criteria},
    }


def _as_offered(row: Row, label: str) -> str:
    """Return a label as the page's buttons have it, however it was typed in a spreadsheet."""
    said = label.strip()
    if is_pair(row) and said.casefold() in {"a", "b"}:
        return said.upper()
    return said.casefold().removesuffix(".0")


def _changed(row: Row, label: str, comment: str, criteria: Mapping[str, str]) -> Row:
    values = {"label": label, **{CRITERION + name: value for name, value in criteria.items()}}
    for column, value in values.items():
        if column not in row:
            raise ValueError(f"the file has no column {column}")
        if value:
            value_of(row, value)
    return {**values, "comment": comment}
