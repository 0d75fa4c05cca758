"""The evaluation report: every model side by side, with intervals, the verdict, and the rows that got worse."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from steps.evaluation.bootstrap import interval
from steps.evaluation.evaluate import EvaluationSettings
from steps.evaluation.gate import CHAMPION, GateSettings, Verdict, decide, difference, improvement
from steps.evaluation.metrics import METRICS
from steps.evaluation.rows import LOSS, judged, metrics_of, mode_of, model_of, sample_of
from steps.rows import prompt_and_answer

#: How many of the rows on which the candidate lost most are shown.
N_REGRESSIONS = 5
#: How many rows are shown whatever became of them: the first ones, not the best ones.
N_SAMPLES = 3


def compare(
    evaluations: Mapping[str, pa.Table],
    dataset: pa.Table,
    evaluation: EvaluationSettings,
    gate: GateSettings,
    champion_version: str = "",
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Compare all evaluations, decide, and write it down.

    Args:
        evaluations: By name: `base`, `base_few_shot`, `sft`, `dpo`, `champion`.
        dataset: Schema `SFT`: prompts and references of the rows.
        evaluation: How the models were evaluated.
        gate: When the candidate is promoted.
        champion_version: Name of the champion's model version, for the record.

    Returns:
        The report and the verdict, as plain values without NaN.
    """
    verdict = decide(evaluations, gate, evaluation.max_unjudged_fraction)
    plain = {**verdict.as_dict(), "champion_version": champion_version}
    sampled = next(iter(evaluations.values()))["row_id"].to_pylist()[:N_SAMPLES]
    report = {
        "valid": verdict.decision != "invalid",
        "metrics": describe_metrics(evaluations),
        "models": {name: summarise(table, gate) for name, table in evaluations.items()},
        "differences": differences(evaluations, verdict.candidate, gate),
        "verdict": plain,
        "samples": [_side_by_side(row_id, evaluations, dataset) for row_id in sampled],
        "regressions": regressions(evaluations, dataset, verdict),
        "settings": {"evaluation": evaluation.model_dump(mode="json"), "gate": gate.model_dump(mode="json")},
    }
    return report, plain


def describe_metrics(evaluations: Mapping[str, pa.Table]) -> dict[str, Any]:
    """Return what each measured number means."""
    names = dict.fromkeys(name for table in evaluations.values() for name in metrics_of(table))
    described: dict[str, Any] = {
        LOSS: {
            "description": "negative log-likelihood of the reference answers and their ends of turn",
            "unit": "nats per token",
            "higher_is_better": False,
        }
    }
    for name in names:
        metric = METRICS[name]
        described[name] = {
            "description": metric.description,
            "unit": metric.unit,
            "higher_is_better": metric.higher_is_better,
        }
    return described


def summarise(evaluation: pa.Table, gate: GateSettings) -> dict[str, Any]:
    """Return a model's numbers: each metric with its interval, lengths, how often it stopped, what failed."""
    answered = evaluation.filter(pc.is_valid(evaluation["answer"]))
    return {
        "mode": mode_of(evaluation),
        "model_sha256": model_of(evaluation),
        "n_rows": evaluation.num_rows,
        "n_answered": answered.num_rows,
        "metrics": {name: _interval(evaluation, name, gate) for name in metrics_of(evaluation)},
        "loss": _interval(evaluation, LOSS, gate),
        "mean_tokens": pc.mean(answered["n_tokens"]).as_py(),
        "mean_characters": pc.mean(answered["n_characters"]).as_py(),
        "stop_rate": pc.mean(answered["stopped"]).as_py(),
        "errors": dict(Counter(evaluation["error"].drop_null().to_pylist()).most_common(5)),
        "loss_errors": dict(Counter(evaluation["loss_error"].drop_null().to_pylist()).most_common(5)),
    }


def differences(evaluations: Mapping[str, pa.Table], candidate: str, gate: GateSettings) -> list[dict[str, Any]]:
    """Return the paired differences: every model minus the base, and the candidate minus the champion.

    The numbers are as measured; `direction` is `better` or `worse` where the interval excludes 0 on that side.
    """
    pairs = [(name, "base") for name in evaluations if name not in {"base", CHAMPION} and "base" in evaluations]
    if CHAMPION in evaluations and candidate in evaluations:
        pairs.append((candidate, CHAMPION))
    found = []
    for name, against in pairs:
        for metric in (LOSS, *metrics_of(evaluations[name])):
            measured = difference(evaluations[name], evaluations[against], metric, gate)
            if measured is None:
                continue
            low, high = sorted((improvement(metric, measured.low), improvement(metric, measured.high)))
            direction = "better" if low > 0 else "worse" if high < 0 else "no_difference_shown"
            found.append(
                {"model": name, "against": against, "metric": metric, **measured._asdict(), "direction": direction}
            )
    return found


def regressions(evaluations: Mapping[str, pa.Table], dataset: pa.Table, verdict: Verdict) -> list[dict[str, Any]]:
    """Return the rows on which the candidate lost most against its opponent (else against the base), worst first.

    A gate on the loss is compared per row by nats per token.
    """
    opponent = verdict.opponent or "base"
    if verdict.candidate not in evaluations or opponent not in evaluations:
        return []
    ours = _values(evaluations[verdict.candidate], verdict.metric)
    theirs = _values(evaluations[opponent], verdict.metric)
    losses = {row_id: improvement(verdict.metric, ours[row_id] - theirs[row_id]) for row_id in ours.keys() & theirs}
    worst = sorted((row_id for row_id, gain in losses.items() if gain < 0), key=lambda row_id: (losses[row_id], row_id))
    return [
        {**_side_by_side(row_id, evaluations, dataset), "candidate": ours[row_id], "opponent": theirs[row_id]}
        for row_id in worst[:N_REGRESSIONS]
    ]


def _side_by_side(row_id: str, evaluations: Mapping[str, pa.Table], dataset: pa.Table) -> dict[str, Any]:
    """Return a row's prompt, reference, and every model's answer (None where it has none)."""
    (row,) = dataset.filter(pc.equal(dataset["id"], row_id)).to_pylist()
    prompt, reference = prompt_and_answer(row["messages"])
    answers = {}
    for name, table in evaluations.items():
        found = table.filter(pc.equal(table["row_id"], row_id))["answer"].to_pylist()
        answers[name] = found[0] if found else None
    return {"row_id": row_id, "prompt": prompt, "reference": reference, "answers": answers}


def _interval(evaluation: pa.Table, metric: str, gate: GateSettings) -> dict[str, Any] | None:
    sample = sample_of(evaluation, metric)
    if not len(sample.numerators):
        return None
    measured = interval(sample, confidence=gate.confidence, n_resamples=gate.n_resamples, seed=gate.seed)
    return measured._asdict()


def _values(evaluation: pa.Table, metric: str) -> dict[str, float]:
    if metric != LOSS and metric not in metrics_of(evaluation):
        return {}
    sample = sample_of(evaluation, metric)
    ids = judged(evaluation, metric)["row_id"].to_pylist()
    return dict(zip(ids, (sample.numerators / sample.denominators).tolist(), strict=True))
