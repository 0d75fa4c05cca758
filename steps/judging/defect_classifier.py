"""The classifier of the defect detector, the words for its scores, and how well it finds held-out damage."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from steps.judging.defect_corruptions import Corruption
from steps.judging.defect_signals import Signal

if TYPE_CHECKING:
    import numpy as np

NO_SIGN = "no sign of a defect"
_TREES = 200


def fit(clean: np.ndarray[Any, Any], damaged: np.ndarray[Any, Any], seed: int) -> Any:
    """Fit trees whose thresholds are drawn at random: they carry to another source, where boosted ones fit this one.

    Learnt from one of three sources of answers and measured on another (dialogues, code, preference data; none of those
    of the benchmark's page), the mean area under the curve was 0.971, and 0.956 with gradient boosting.
    """
    import numpy as np
    from sklearn.ensemble import ExtraTreesClassifier

    model = ExtraTreesClassifier(
        _TREES, min_samples_leaf=2, max_features=0.4, class_weight="balanced", random_state=seed
    )
    return model.fit(np.vstack([clean, damaged]), np.r_[np.ones(len(clean)), np.zeros(len(damaged))])


def log_odds(model: Any, x: np.ndarray[Any, Any]) -> Any:
    """Return the log-odds that each row is whole."""
    import numpy as np

    # Half a tree's vote from certainty: all trees agreeing is no proof.
    p = np.clip(model.predict_proba(x)[:, 1], 0.5 / _TREES, 1 - 0.5 / _TREES)
    return np.log(p / (1 - p))


def explain(
    decide: Callable[[Any], Any], x: np.ndarray[Any, Any], typical: np.ndarray[Any, Any], signals: tuple[Signal, ...]
) -> list[str]:
    """Name the three signals that lower each row's log-odds most, against the typical whole row's value."""
    import numpy as np

    if not len(x):
        return []
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
        rationales.append("; ".join(named) or NO_SIGN)
    return rationales


def held_out(whole_p: np.ndarray[Any, Any], broken_p: np.ndarray[Any, Any], kinds: list[Corruption]) -> dict[str, Any]:
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
