"""Collects what a finished run did into `summary.json`, `report.html`, `release/` and a table on the terminal."""

from __future__ import annotations

import io
import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.console import Console
from rich.table import Table

from pipelines.asked import asked_of, asked_table, latency, usd
from pipelines.config import RunConfig
from pipelines.plots import loss_curves, metric_bars
from steps.preview import environment
from steps.reporting.curation import funnel
from steps.reporting.planted import caught, load_planted
from steps.rows import rows_of_split

if TYPE_CHECKING:
    from zenml.models import PipelineRunResponse

#: Artifacts that the report needs whole; tables other than ledgers are counted by their metadata alone.
REPORTS = ("curation_report", "sft_report", "preference_report", "dpo_report", "evaluation_report", "verdict")

#: How models stand side by side: from what there was to what was made.
MODEL_ORDER = ("base", "base_few_shot", "sft", "dpo", "champion")


class Results(NamedTuple):
    """A run's summary (plain JSON), the loaded reports, and where its release lies (None without one)."""

    summary: dict[str, Any]
    reports: dict[str, Any]
    release: Path | None

    def table(self, folder: Path) -> str:
        """Render the table that ends a run on the terminal."""
        return render_table(self.summary, folder)


def collect(run: PipelineRunResponse, config: RunConfig, wall_s: float) -> Results:
    """Read a finished run's artifacts and step records."""
    outputs = {name: versions[0] for step in run.steps.values() for name, versions in step.outputs.items() if versions}
    reports = {name: outputs[name].load() for name in REPORTS if name in outputs}
    verdict = reports.get("verdict")
    stages = list(reports.get("curation_report", {}).get("funnel", []))
    if "preferences_ledger" in outputs:
        stages += funnel({"preferences": outputs["preferences_ledger"].load()})
    version = run.model_version
    steps = _steps_of(run)
    summary = {
        "run": run.name,
        "run_id": str(run.id),
        "pipeline": config.pipeline,
        "status": run.status.value,
        "model": config.name,
        "model_version": version.name if version else None,
        "wall_s": round(wall_s, 1),
        "stages": stages,
        "sources": reports.get("curation_report", {}).get("sources", []),
        "splits": reports.get("curation_report", {}).get("splits", {}),
        "tokens": reports.get("curation_report", {}).get("tokens", {}),
        "asked": asked_of(reports, {step["step"] for step in steps if step["cached"]}),
        "planted": _planted_in(config, outputs) if config.corpus and "curation_report" in outputs else [],
        "models": _models_of(reports.get("evaluation_report", {})),
        "verdict": verdict,
        "steps": steps,
        "artifacts": _artifacts_of(outputs),
    }
    promoted = verdict is not None and verdict["decision"] == "promote" and "release" in outputs
    return Results(summary, reports, outputs["release"].load() if promoted else None)


def _planted_in(config: RunConfig, outputs: dict[str, Any]) -> list[dict[str, Any]]:
    """Hold what the sample corpus planted against what the stages dropped."""
    if config.corpus is None:
        return []
    folder = Path(config.corpus.path)
    ledgers = {
        name.removesuffix("_ledger"): artifact.load() for name, artifact in outputs.items() if name.endswith("_ledger")
    }
    tables = [outputs[name].load() for name in ("documents", "examples", "imported_preferences")]
    test_rows = rows_of_split(outputs["sft_dataset"].load(), "test")
    prefixes = {}
    for source in config.sources:
        root = Path(getattr(source, "path", None) or "")
        if root.is_relative_to(folder):
            place = root if root.is_dir() else root.parent
            prefixes[source.name] = "" if place == folder else f"{place.relative_to(folder).as_posix()}/"
    return caught(load_planted(folder), ledgers, tables, prefixes, frozenset(test_rows["id"].to_pylist()))


def _steps_of(run: PipelineRunResponse) -> list[dict[str, Any]]:
    """Return name, seconds and whether it was cached, in the order in which the steps ended."""
    steps = []
    for name, step in run.steps.items():
        cached = step.status.value == "cached"
        seconds = (step.end_time - step.start_time).total_seconds() if step.end_time and step.start_time else 0.0
        steps.append((step.end_time, {"step": name, "cached": cached, "wall_s": 0.0 if cached else round(seconds, 2)}))
    ordered = sorted(steps, key=lambda entry: (entry[0] is None, entry[0] or 0, entry[1]["step"]))
    return [step for _, step in ordered]


def _models_of(report: dict[str, Any]) -> dict[str, Any]:
    """Return every model's numbers, the loss per token among its metrics."""
    models = {}
    for name, model in sorted(report.get("models", {}).items(), key=lambda item: MODEL_ORDER.index(item[0])):
        measured = {"loss": model["loss"], **model["metrics"]}
        models[name] = {
            **model,
            "metrics": {metric: value for metric, value in measured.items() if value is not None},
            "n_unjudged": model["n_rows"] - model["n_answered"],
        }
    return models


def _artifacts_of(outputs: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"name": name, "version": artifact.version, "id": str(artifact.id), "content_hash": artifact.content_hash}
        for name, artifact in sorted(outputs.items())
    ]


def write_results(results: Results, folder: Path) -> None:
    """Write the run's folder, and point `latest` beside it to it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "summary.json").write_text(json.dumps(results.summary, indent=1, ensure_ascii=False), encoding="utf-8")
    (folder / "report.html").write_text(render_report(results), encoding="utf-8")
    if results.release is not None:
        _link_tree(results.release, folder / "release")
    latest = folder.parent / "latest"
    if latest.is_symlink() or not latest.exists():
        latest.unlink(missing_ok=True)
        latest.symlink_to(folder.name)


def _link_tree(source: Path, target: Path) -> None:
    """Hard-link a directory's files where the file system allows, copy them elsewhere."""

    def link(from_path: str, to_path: str) -> None:
        try:
            os.link(from_path, to_path)
        except OSError:
            shutil.copy2(from_path, to_path)

    shutil.copytree(source, target, copy_function=link, dirs_exist_ok=False)


def render_report(results: Results) -> str:
    """Render the run as one self-contained HTML page."""
    evaluation = results.reports.get("evaluation_report", {})
    histories = {
        name: results.reports[f"{name}_report"]["history"]
        for name in ("sft", "dpo")
        if f"{name}_report" in results.reports
    }
    template = environment().get_template("report.html.jinja")
    return template.render(
        summary=results.summary,
        curation=results.reports.get("curation_report"),
        preferences=results.reports.get("preference_report"),
        evaluation=evaluation or None,
        losses=loss_curves(histories),
        bars=_bars(results.summary["models"]),
        metric_names=_metric_names(results.summary["models"]),
        usd=usd,
        latency=latency,
    )


def _metric_names(models: dict[str, Any]) -> list[str]:
    return list(dict.fromkeys(name for model in models.values() for name in model["metrics"]))


def _bars(models: dict[str, Any]) -> dict[str, str]:
    """Plot each metric over the models that have it."""
    plots = {}
    for metric in _metric_names(models):
        having = {name: model["metrics"][metric] for name, model in models.items() if metric in model["metrics"]}
        intervals = [(value["mean"], value["low"], value["high"]) for value in having.values()]
        plots[metric] = metric_bars(list(having), intervals, metric)
    return plots


def render_table(summary: dict[str, Any], folder: Path) -> str:
    """Render the funnel, the models and the verdict for a terminal."""
    console = Console(record=True, width=110, file=io.StringIO())
    if summary["stages"]:
        table = Table("stage", "in", "kept", "dropped", "why", title="Curation", title_justify="left")
        for stage in summary["stages"]:
            why = ", ".join(f"{reason} {n}" for reason, n in stage["reasons"].items())
            table.add_row(stage["stage"], *(f"{stage[key]:,}" for key in ("n_in", "n_kept", "n_dropped")), why)
        console.print(table)
    if summary["asked"]:
        console.print(asked_table(summary["asked"]))
    if summary["models"]:
        metrics = _metric_names(summary["models"])
        table = Table("model", *metrics, title="Held-out evaluation (mean, 95 % interval)", title_justify="left")
        for name, model in summary["models"].items():
            table.add_row(name, *(_interval(model["metrics"].get(metric)) for metric in metrics))
        console.print(table)
    verdict = summary["verdict"]
    if verdict is not None:
        console.print(f"verdict: [bold]{verdict['decision']}[/bold]: {verdict['reason']}")
    n_cached = sum(step["cached"] for step in summary["steps"])
    console.print(
        f"{len(summary['steps'])} steps ({n_cached} cached) in {summary['wall_s']:.0f} s; report: {folder}/report.html"
    )
    return console.export_text()


def _interval(value: dict[str, float] | None) -> str:
    return "" if value is None else f"{value['mean']:.3f} [{value['low']:.3f}, {value['high']:.3f}]"
