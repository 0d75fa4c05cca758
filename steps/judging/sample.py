"""The rows that people are asked to label: a stratified sample, in an order that says nothing.

Strata are source, kind and band of the judges' scores, each with its share of the sample, so that a figure measured on
the sample holds for the whole. The scores choose the rows and are not in the file: who sees a score repeats it.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from pydantic import Field, field_validator

from steps.judging.labels import ANSWER_COLUMNS, CRITERION, LABEL_COLUMNS, PAIR_COLUMNS, YES_NO, Row, bounds_of
from steps.rows import content_id, prompt_and_answer
from steps.settings import Settings


class SampleSettings(Settings):
    """How many rows, and what is asked about each."""

    n: int = Field(default=100, ge=1)
    """Rows, or pairs, to label. The interval of an agreement of 0.8 is ±0.08 with 100 and ±0.11 with 50."""
    score_bands: int = Field(default=4, ge=1, le=20)
    """Bands of equal size that the judges' scores are cut into; 1 takes no notice of scores."""
    scale: str = YES_NO
    """Of single answers: `yes-no` (is it good enough to train on?), or lowest-highest such as `1-5`. The judge's own
    scale lets people and judge be compared level by level."""
    criteria: tuple[str, ...] = ()
    """Criteria of the judge's rubric that are labelled besides the whole, each on the same scale."""
    both_orders: bool = False
    """Whether every pair is asked in both display orders, which shows the position bias of people; else each order
    stands in half of the pairs."""
    seed: int = Field(default=7, ge=0)
    """Of the choice of rows, of their order and of the sides."""

    @field_validator("scale")
    @classmethod
    def _is_a_scale(cls, value: str) -> str:
        bounds_of(value)
        return value


class Candidate(NamedTuple):
    """A row or pair that may be labelled."""

    item_id: str
    source: str
    kind: str
    prompt: str
    answers: tuple[str, ...]
    """The answer; or the first and the second of a pair."""
    rank: float | None
    """Where the judges' scores put it, in [0, 1]; None if it has no score."""


def ranks_of(scores: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Put the scores of several judges on one scale: the mean over judges of the share of items scored no higher.

    Args:
        scores: Judge -> item -> score, each judge on its own scale.
    """
    found: dict[str, list[float]] = defaultdict(list)
    for of_judge in scores.values():
        values = np.sort(np.fromiter(of_judge.values(), dtype=np.float64, count=len(of_judge)))
        for item_id, score in of_judge.items():
            found[item_id].append(float(np.searchsorted(values, score, side="right")) / len(values))
    return {item_id: sum(ranks) / len(ranks) for item_id, ranks in found.items()}


def answers_of(examples: pa.Table, ranks: Mapping[str, float]) -> list[Candidate]:
    """Return the rows of schema `rows.EXAMPLES` that end with an answer."""
    candidates = []
    columns = (examples[name].to_pylist() for name in ("id", "source", "kind", "messages"))
    for row_id, source, kind, messages in zip(*columns, strict=True):
        try:
            prompt, answer = prompt_and_answer(messages)
        except ValueError:
            continue
        candidates.append(Candidate(row_id, source, kind, _as_text(prompt), (answer,), ranks.get(row_id)))
    return candidates


def pairs_of(preferences: pa.Table) -> list[Candidate]:
    """Return the pairs of schema `rows.PREFERENCES`: first is the chosen answer, the band is that of its margin."""
    rows = preferences.to_pylist()
    margins = {
        row["id"]: row["chosen_score"] - row["rejected_score"]
        for row in rows
        if row["chosen_score"] is not None and row["rejected_score"] is not None
    }
    ranks = ranks_of({"margin": margins})
    return [
        Candidate(
            row["id"],
            row["source"],
            row["ranker"],
            _as_text(row["prompt"]),
            (_as_text(row["chosen"]), _as_text(row["rejected"])),
            ranks.get(row["id"]),
        )
        for row in rows
    ]


def sample_of(candidates: Sequence[Candidate], settings: SampleSettings) -> list[Row]:
    """Return the rows of a label file, with empty labels.

    Every stratum gets its share of `n` by the method of largest remainders; which rows, their order and the sides of
    pairs are drawn.
    """
    rng = random.Random(settings.seed)
    strata: dict[tuple[str, str, int], list[Candidate]] = defaultdict(list)
    for candidate in sorted(candidates):
        strata[stratum_of(candidate, settings.score_bands)].append(candidate)
    chosen = [
        candidate
        for stratum, share in zip(
            strata.values(), _shares([len(each) for each in strata.values()], settings.n), strict=True
        )
        for candidate in rng.sample(stratum, share)
    ]
    rng.shuffle(chosen)
    tasks = [task for number, candidate in enumerate(chosen) for task in _tasks(candidate, number, settings)]
    if settings.both_orders:
        tasks = _apart(tasks)
    return tasks


def stratum_of(candidate: Candidate, n_bands: int) -> tuple[str, str, int]:
    """Return source, kind and band of scores; −1 is the band of what has no score."""
    band = -1 if candidate.rank is None else min(int(candidate.rank * n_bands), n_bands - 1)
    return candidate.source, candidate.kind, band


def _shares(sizes: Sequence[int], n: int) -> list[int]:
    """Divide `n` among strata in proportion to their sizes.

    >>> _shares([70, 20, 10], 10), _shares([1, 1], 5)
    ([7, 2, 1], [1, 1])
    """
    total = sum(sizes)
    n = min(n, total)
    exact = [size * n / total for size in sizes]
    shares = [int(each) for each in exact]
    by_remainder = sorted(range(len(sizes)), key=lambda at: (shares[at] - exact[at], at))
    for at in by_remainder[: n - sum(shares)]:
        shares[at] += 1
    return shares


def _tasks(candidate: Candidate, number: int, settings: SampleSettings) -> list[Row]:
    """Return the rows of one item: one, or of a pair asked in both orders two. Sides alternate in drawn order."""
    shared: dict[str, Any] = {"item_id": candidate.item_id, "source": candidate.source, "kind": candidate.kind}
    shared["prompt"] = candidate.prompt
    if len(candidate.answers) == 1:
        task = {**shared, "scale": settings.scale, "answer": candidate.answers[0]}
        names = [*ANSWER_COLUMNS, *LABEL_COLUMNS[:2], *(CRITERION + name for name in settings.criteria), "comment"]
        return [_row({**task, "task_id": content_id(candidate.item_id)[:12]}, names)]
    orders = ["ab", "ba"] if number % 2 == 0 else ["ba", "ab"]
    names = [*PAIR_COLUMNS, *LABEL_COLUMNS[:2], *(CRITERION + name for name in settings.criteria), "comment"]
    rows = []
    for order in orders if settings.both_orders else orders[:1]:
        shown = candidate.answers if order == "ab" else candidate.answers[::-1]
        sides = {"order": order, "answer_a": shown[0], "answer_b": shown[1]}
        rows.append(_row({**shared, **sides, "task_id": content_id(candidate.item_id, order)[:12]}, names))
    return rows


def _row(values: Mapping[str, Any], names: Sequence[str]) -> Row:
    return {name: str(values.get(name, "")) for name in names}


def _apart(tasks: Sequence[Row]) -> list[Row]:
    """Put the second look at each pair half of the list away from the first, so that it is not remembered."""
    return [*tasks[0::2], *tasks[1::2]]


def _as_text(messages: Sequence[Mapping[str, str]]) -> str:
    if len(messages) == 1:
        return messages[0]["content"]
    return "\n\n".join(f"[{message['role']}]\n{message['content']}" for message in messages)
