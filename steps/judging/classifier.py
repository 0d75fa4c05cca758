"""A quality classifier of your own: sentence embeddings and a logistic regression, trained on labels of people.

It is as good as its labels and says how good that is: the area under the ROC curve on labels that it did not learn
from, beside that of the answer's length alone, which is what such classifiers are prone to learn (on PandaLM's labels
embeddings with a regression agreed with people less often than counting words).
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import Field, model_validator

from steps.errors import InputError
from steps.judging.defect_score import BUNDLED_EMBEDDER, Embed
from steps.judging.judge_settings import BaseJudgeSettings
from steps.judging.labels import Labelled, read_labelled
from steps.judging.verdict import Item, Unscored, Verdict
from steps.rows import content_id

if TYPE_CHECKING:
    import numpy as np

#: Resamples of the interval around the area.
_RESAMPLES = 1000
_VERSION = "v1"


class ClassifierSettings(BaseJudgeSettings):
    """A logistic regression over embeddings of prompt and answer."""

    type: Literal["classifier"]
    labels_path: str | None = None
    """JSONL or CSV file of labelled answers with `prompt`, `answer` and `label` (1 / 0, true / false, good / bad)."""
    weights_path: str | None = None
    """`.npz` file of trained weights. With `labels_path` it keeps what was trained, and is trained anew when labels or
    settings changed; without, it must be there."""
    embedder: str = BUNDLED_EMBEDDER
    """Sentence-transformers model: the bundled MiniLM, or any path or Hub id."""
    embedder_max_length_tokens: int = Field(default=256, ge=16, le=8192)
    """Tokens of each text that are embedded."""
    min_labels: int = Field(default=200, ge=50)
    """With fewer labels nothing is trained: two weights per dimension of the embedding learn little from less."""
    min_labels_per_class: int = Field(default=25, ge=10)
    """Nor with fewer of either class."""
    folds: int = Field(default=5, ge=2, le=20)
    """Parts of the labels for cross-validation; answers to one prompt stay together."""
    regularisation: float = Field(default=1e-3, gt=0)
    """Inverse strength `C` of the L2 penalty, on features of about unit size; hundreds of labels bear little more."""

    @model_validator(mode="after")
    def _has_a_source(self) -> ClassifierSettings:
        if self.labels_path is None and self.weights_path is None:
            raise ValueError("needs labels_path to be trained, or weights_path of a trained one")
        if self.weights_path is not None and not self.weights_path.endswith(".npz"):
            raise ValueError(f"weights_path={self.weights_path} does not end with .npz")
        return self

    @property
    def default_name(self) -> str:
        """`classifier:<file>`."""
        return f"classifier:{self.weights_path or self.labels_path}"

    @property
    def scale_bounds(self) -> tuple[float, float]:
        """A probability."""
        return 0.0, 1.0


class Trained(NamedTuple):
    """The weights, and how the classifier was found to do."""

    weights: np.ndarray[Any, Any]
    bias: float
    report: dict[str, Any]


class ClassifierJudge:
    """P(people would label the answer good)."""

    def __init__(self, settings: ClassifierSettings, seed: int, embed: Embed | None = None) -> None:
        self._settings, self._embed = settings, embed
        self._trained = self._made(seed)
        self.name = settings.judge_name
        self.scale = settings.scale_bounds
        self.report: dict[str, Any] = dict(self._trained.report)
        digest = hashlib.sha256(self._trained.weights.astype("<f8").tobytes())
        digest.update(json.dumps([_VERSION, self._trained.bias, *_embedder_of(settings)]).encode())
        self.fingerprint = digest.hexdigest()

    def score(self, items: Sequence[Item]) -> list[Verdict]:
        """Return one verdict per item, in order."""
        asked = [i for i, item in enumerate(items) if item.answer.strip()]
        found = {}
        if asked:
            import numpy as np

            texts = [(_asked(items[i].prompt), items[i].answer) for i in asked]
            logits = _features(texts, self._embedder()) @ self._trained.weights + self._trained.bias
            found = dict(zip(asked, (1 / (1 + np.exp(-logits))).tolist(), strict=True))
        return [
            Verdict(item.item_id, self.name, self.fingerprint, found[i], detail=self._told())
            if i in found
            else Verdict(
                item.item_id, self.name, self.fingerprint, None, Unscored.NO_ANSWER, detail="the answer is blank"
            )
            for i, item in enumerate(items)
        ]

    def _told(self) -> str:
        report = self._trained.report
        return f"trained on {report['n_labels']} labels, AUC {report['auc']:.3f} in cross-validation"

    def _embedder(self) -> Embed:
        if self._embed is None:
            from steps.judging.embedder import load_embedder

            self._embed = load_embedder(*_embedder_of(self._settings))
        return self._embed

    def _made(self, seed: int) -> Trained:
        """Train on the labels, or load what was trained on the same ones before."""
        path = None if self._settings.weights_path is None else Path(self._settings.weights_path)
        if self._settings.labels_path is None:
            if path is None or not path.is_file():
                raise InputError(f"classifier weights_path={path} is no file; set labels_path to train one")
            return load_classifier(path, self._settings)
        labels = Path(self._settings.labels_path)
        rows = read_labelled(labels)
        decisive = self._settings.model_dump_json(exclude={"name", "labels_path", "weights_path"})
        stamp = content_id(_VERSION, decisive, seed, *(part for row in rows for part in row))
        if path is not None and path.is_file():
            kept = load_classifier(path, self._settings)
            if kept.report.get("stamp") == stamp:
                return kept
        trained = train_classifier(rows, self._settings, seed, self._embedder())
        trained.report["stamp"] = stamp
        if path is not None:
            save_classifier(trained, path)
        return trained


def train_classifier(rows: Sequence[Labelled], settings: ClassifierSettings, seed: int, embed: Embed) -> Trained:
    """Learn to tell good from bad answers.

    Args:
        rows: Labelled answers; their order decides nothing.
        settings: Of the classifier.
        seed: Of folds and resamples.
        embed: Embeds texts.

    Raises:
        InputError: if there are too few labels, of all or of one class.
    """
    import numpy as np

    n_good = sum(row.is_good for row in rows)
    n_bad = len(rows) - n_good
    if len(rows) < settings.min_labels or min(n_good, n_bad) < settings.min_labels_per_class:
        raise InputError(
            f"the classifier has {len(rows)} labels, {n_good} good and {n_bad} bad; it is not trained below min_labels="
            f"{settings.min_labels} in all and min_labels_per_class={settings.min_labels_per_class} of each: label "
            "more answers (`tunesmith calibrate` exports a sample), or use another judge"
        )
    ordered = sorted(rows, key=lambda row: content_id("label", row.prompt, row.answer, int(row.is_good), seed))
    x = _features([(row.prompt, row.answer) for row in ordered], embed)
    y = np.array([row.is_good for row in ordered], int)
    out_of_fold = _cross_validated(x, y, [row.prompt for row in ordered], settings, seed)
    model = _regression(settings).fit(x, y)
    report = {
        "n_labels": len(rows),
        "n_good": n_good,
        "n_prompts": len({row.prompt for row in rows}),
        "embedder": settings.embedder,
        **_areas(out_of_fold, y, np.log1p([len(row.answer) for row in ordered]), seed),
    }
    report["warnings"] = _warnings(report)
    return Trained(model.coef_[0].astype(np.float64), float(model.intercept_[0]), report)


def save_classifier(trained: Trained, path: Path) -> None:
    """Write weights and report to an `.npz` file of plain arrays, whole or not at all."""
    import numpy as np

    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("wb") as file:
        report = np.frombuffer(json.dumps(trained.report).encode(), np.uint8)
        np.savez(file, weights=trained.weights, bias=np.array([trained.bias]), report=report)
    partial.replace(path)


def load_classifier(path: Path, settings: ClassifierSettings) -> Trained:
    """Read what `save_classifier` wrote; nothing in the file is executed.

    Raises:
        InputError: if the file is another, or was trained on another embedder.
    """
    import zipfile

    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as found:
            report = json.loads(found["report"].tobytes())
            trained = Trained(found["weights"].astype(np.float64), float(found["bias"][0]), report)
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise InputError(
            f"weights_path={path} is no trained classifier ({error}); train one with labels_path"
        ) from None
    if report.get("embedder") != settings.embedder and settings.labels_path is None:
        raise InputError(
            f"weights_path={path} was trained on embeddings of {report.get('embedder')!r}, and embedder="
            f"{settings.embedder!r}; set the same"
        )
    return trained


def _embedder_of(settings: ClassifierSettings) -> tuple[str, int]:
    return settings.embedder, settings.embedder_max_length_tokens


def _asked(prompt: Sequence[Any]) -> str:
    return "\n\n".join(turn["content"] for turn in prompt)


def _features(texts: Sequence[tuple[str, str]], embed: Embed) -> np.ndarray[Any, Any]:
    """Return the answer's embedding, and its product with the prompt's, dimension by dimension."""
    import numpy as np

    distinct = sorted({text for pair in texts for text in pair})
    vectors = np.asarray(embed(distinct), np.float64)
    at = {text: i for i, text in enumerate(distinct)}
    prompts, answers = (vectors[[at[pair[side]] for pair in texts]] for side in (0, 1))
    # Unit vectors have coordinates of about 1 / sqrt(dimensions): scaled to about 1, so that the penalty is felt alike.
    scale = float(np.sqrt(vectors.shape[1]))
    return np.hstack([answers * scale, prompts * answers * scale**2])


def _regression(settings: ClassifierSettings) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=settings.regularisation, class_weight="balanced", max_iter=2000)


def _cross_validated(
    x: np.ndarray[Any, Any], y: np.ndarray[Any, Any], prompts: Sequence[str], settings: ClassifierSettings, seed: int
) -> np.ndarray[Any, Any]:
    import numpy as np
    from sklearn.model_selection import StratifiedGroupKFold

    folds = StratifiedGroupKFold(settings.folds, shuffle=True, random_state=seed)
    found = np.zeros(len(y))
    for learned, held_out in folds.split(x, y, prompts):
        if len(set(y[learned])) < 2:
            raise InputError(
                "all labels of one class belong to a single prompt, so that the classifier cannot be tested; label "
                "answers to more prompts"
            )
        found[held_out] = _regression(settings).fit(x[learned], y[learned]).decision_function(x[held_out])
    return found


def _areas(
    scores: np.ndarray[Any, Any], y: np.ndarray[Any, Any], log_length: np.ndarray[Any, Any], seed: int
) -> dict[str, Any]:
    """Return the area under the ROC curve with its 95 % bootstrap interval, and that of the length, either way."""
    import numpy as np
    from sklearn.metrics import roc_auc_score

    rng = random.Random(f"classifier:{seed}")
    areas: list[float] = []
    while len(areas) < _RESAMPLES:
        drawn = np.array(rng.choices(range(len(y)), k=len(y)))
        if 0 < y[drawn].sum() < len(y):
            areas.append(roc_auc_score(y[drawn], scores[drawn]))
    by_length = float(roc_auc_score(y, log_length))
    low, high = np.quantile(areas, [0.025, 0.975])
    return {
        "auc": float(roc_auc_score(y, scores)),
        "auc_low": float(low),
        "auc_high": float(high),
        "auc_of_length": max(by_length, 1 - by_length),
    }


def _warnings(report: dict[str, Any]) -> list[str]:
    found = []
    if report["auc_low"] <= 0.5:
        found.append(
            f"the classifier cannot be told from chance: AUC {report['auc']:.3f} ({report['auc_low']:.3f} to "
            f"{report['auc_high']:.3f}); label more answers, or do not use it"
        )
    if report["auc"] <= report["auc_of_length"]:
        found.append(
            f"the answer's length alone tells good from bad as well (AUC {report['auc_of_length']:.3f} against "
            f"{report['auc']:.3f}): the classifier, or the labels, may know little else"
        )
    return found
