"""What a run asked of models, for its summary: requests, cache hits, tokens, money, waiting."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from rich.table import Table

#: The step in which each stage asks.
STEPS = {
    "synthesise": "synthesise_examples",
    "judge": "judge_examples",
    "preferences": "build_preference_dataset",
}


def asked_of(reports: dict[str, Any], cached_steps: Collection[str]) -> list[dict[str, Any]]:
    """Return what `steps.llm.usage` says of each stage and model that was asked.

    Args:
        reports: Artifacts of the run by name.
        cached_steps: Steps that did not run: what their reports call paid was paid by an earlier run.

    Returns:
        One entry per stage and model, in the order of the stages.
    """
    curation = reports.get("curation_report", {})
    stages = {name: curation.get(name) or {} for name in ("synthesise", "judge")}
    stages["preferences"] = reports.get("preference_report", {})
    return [
        {"stage": stage, "model": model, **(_saved(usage) if STEPS[stage] in cached_steps else usage)}
        for stage, report in stages.items()
        for model, usage in report.get("usage", {}).items()
    ]


def _saved(usage: dict[str, Any]) -> dict[str, Any]:
    """Return the usage of a step that was taken from the cache whole: nothing was asked, all of it was saved."""
    parts = (usage["cost_usd"], usage["saved_usd"])
    return usage | {
        "n_cached": usage["n_requests"] - usage["n_failed"],
        **dict.fromkeys(("attempts", "prompt_tokens", "completion_tokens"), 0),
        "cost_usd": 0.0,
        "saved_usd": None if None in parts else sum(parts),
        "latency_s": dict.fromkeys(usage["latency_s"]),
    }


def asked_table(asked: list[dict[str, Any]]) -> Table:
    """Render it for a terminal."""
    table = Table("stage", "model", title="Models asked", title_justify="left")
    for name in ("requests", "cached", "failed", "tokens in / out", "paid", "saved", "p50 / p90 / p99"):
        table.add_column(name, justify="right")
    for one in asked:
        counts = (f"{one[key]:,}" for key in ("n_requests", "n_cached", "n_failed"))
        tokens = f"{one['prompt_tokens']:,} / {one['completion_tokens']:,}"
        money = (usd(one["cost_usd"]), usd(one["saved_usd"]))
        table.add_row(one["stage"], one["model"], *counts, tokens, *money, latency(one["latency_s"]))
    return table


def usd(amount: float | None) -> str:
    """Write an amount of money; a price that is unknown is no 0.

    >>> usd(0.004), usd(1234.5), usd(None)
    ('$0.0040', '$1,234.50', 'unknown')
    """
    if amount is None:
        return "unknown"
    return f"${amount:,.4f}" if 0 < amount < 0.1 else f"${amount:,.2f}"


def latency(seconds: dict[str, float | None]) -> str:
    """Write the percentiles p50, p90 and p99; nothing where no reply was waited for.

    >>> latency({"p50": 0.21, "p90": 1.0, "p99": 12.345})
    '0.21 / 1 / 12 s'
    """
    values = [seconds[name] for name in ("p50", "p90", "p99")]
    return " / ".join(f"{value:.2g}" for value in values if value is not None) + " s" if None not in values else ""
