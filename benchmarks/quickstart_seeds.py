"""Runs the quickstart at three seeds and writes the table that the README quotes.

    make bench            # about five minutes a seed on two idle cores

Each seed gets a corpus, a base model and a ZenML model of its own. What counts is read from the runs' `summary.json`.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from pathlib import Path
from typing import Any

from benchmarks.records import write
from pipelines.runner import run_config

CONFIG = Path("configs/quickstart.yaml")


def main() -> None:
    """Run all seeds and write `benchmarks/results/quickstart_seeds.{json,md}`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[7, 11, 23])
    seeds = parser.parse_args().seeds
    runs = [_run(seed) for seed in seeds]
    record = {"machine": _machine(), "seeds": seeds, "runs": runs}
    page = _page(record)
    write("quickstart_seeds", record, page)
    sys.stdout.write(page)


def _run(seed: int) -> dict[str, Any]:
    overrides = [f"seed={seed}", f"name=quickstart-seed-{seed}", f"corpus.path=data/quickstart-{seed}"]
    overrides += [
        f"sources.0.path=data/quickstart-{seed}/notes",
        f"sources.1.path=data/quickstart-{seed}/chat_log.jsonl",
        f"sources.2.path=data/quickstart-{seed}/reviews.jsonl",
        f"curation.decontaminate.benchmark_paths=[data/quickstart-{seed}/benchmark.jsonl]",
    ]
    summary = run_config(CONFIG, overrides, use_cache=False).summary
    kept = ("models", "verdict", "planted", "stages", "splits", "wall_s", "steps")
    return {"seed": seed, **{key: summary[key] for key in kept}}


def _machine() -> dict[str, Any]:
    return {"cores": os.cpu_count(), "architecture": platform.machine(), "python": platform.python_version()}


def _page(record: dict[str, Any]) -> str:
    runs = record["runs"]
    names = list(runs[0]["models"])
    metrics = list(runs[0]["models"][names[-1]]["metrics"])
    lines = [
        "# The quickstart at several seeds",
        "",
        f"Machine: {record['machine']['cores']} cores ({record['machine']['architecture']}), no GPU. Every figure is "
        "measured on the test split; brackets hold 95 % bootstrap intervals. Made by `make bench`.",
        "",
        "| seed | model | " + " | ".join(metrics) + " |",
        "|---|---|" + "---|" * len(metrics),
    ]
    for run in runs:
        for name, model in run["models"].items():
            cells = (_cell(model["metrics"].get(metric)) for metric in metrics)
            lines.append(f"| {run['seed']} | {name} | " + " | ".join(cells) + " |")
    lines += [
        "",
        "| seed | verdict | planted | caught where expected | missed | wall seconds |",
        "|---|---|---|---|---|---|",
    ]
    for run in runs:
        planted = sum(kind["n_planted"] for kind in run["planted"])
        found = sum(kind["n_caught"] for kind in run["planted"])
        missed = sum(len(kind["missed"]) for kind in run["planted"])
        lines.append(
            f"| {run['seed']} | {run['verdict']['decision']} | {planted} | {found} | {missed} | {run['wall_s']:.0f} |"
        )
    return "\n".join(lines) + "\n"


def _cell(value: dict[str, float] | None) -> str:
    return "" if value is None else f"{value['mean']:.3f} [{value['low']:.3f}, {value['high']:.3f}]"


if __name__ == "__main__":
    main()
