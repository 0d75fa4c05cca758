"""The rows next to a rule's bound: those that it just keeps and those that it just drops."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from steps.filtering.batch import Batch
from steps.filtering.row import Failure, excerpt

#: Characters shown of a prompt and of an answer.
PROMPT_CHARACTERS, ANSWER_CHARACTERS = 100, 240


class Border:
    """Collects the rows nearest to one bound over all batches, and the first ones that fail where there is none.

    Attributes:
        kept: The nearest rows inside the bound, nearest first: `id, source, value, prompt, answer, detail`.
        dropped: The nearest rows outside.
    """

    def __init__(self, n_examples: int, bound: float | None, sign: float) -> None:
        """Collect for a bound that is the largest value allowed (`sign` 1) or the least (`sign` -1)."""
        self._n = n_examples
        self._bound = bound
        self._sign = sign
        self.kept: list[dict[str, Any]] = []
        self.dropped: list[dict[str, Any]] = []

    @property
    def shown(self) -> str:
        """The bound as a failing row breaks it, e.g. `> 0.4`; empty where there is none."""
        return "" if self._bound is None else f"{'>' if self._sign > 0 else '<'} {self._bound:.4g}"

    def note(self, values: npt.NDArray[np.float64], batch: Batch, details: Mapping[int, str | None]) -> None:
        """Look through a batch for rows nearer to the bound than those known.

        Args:
            values: The measure of each row; NaN where it says nothing.
            batch: The rows.
            details: What the rule said about rows that fail.
        """
        if self._bound is None or not self._n:
            return
        excess = (values - self._bound) * self._sign
        for side, outside in ((self.kept, False), (self.dropped, True)):
            rows = np.flatnonzero(excess > 0 if outside else excess <= 0)
            nearest = rows[np.argsort(np.abs(excess[rows]), kind="stable")[: self._n]]
            side += [_entry(batch, row, float(values[row]), details.get(row)) for row in nearest.tolist()]
            side.sort(key=lambda entry: abs(entry["value"] - self._bound))
            del side[self._n :]

    def note_failure(self, failure: Failure, batch: Batch) -> None:
        """Keep a row that fails a rule without a bound, until there are enough."""
        if len(self.dropped) < self._n:
            self.dropped.append(_entry(batch, failure.position, failure.score, failure.detail))


def _entry(batch: Batch, row: int, value: float | None, detail: str | None) -> dict[str, Any]:
    return {
        "id": batch.examples["id"][row].as_py(),
        "source": batch.examples["source"][row].as_py(),
        "value": value,
        "prompt": excerpt(batch.prompts[row].as_py(), PROMPT_CHARACTERS),
        "answer": excerpt(batch.answers[row].as_py(), ANSWER_CHARACTERS),
        "detail": detail,
    }
