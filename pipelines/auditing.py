"""`tunesmith audit`: what the filter rules of a config do to its rows."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipelines.at_hand import rows_of_sources, rows_of_version
from pipelines.config import load_config
from steps.errors import InputError
from steps.filtering.audit import AuditSettings, audit
from steps.filtering.length import PARTS
from steps.filtering.rules import FilteringSettings
from steps.preview import environment

#: Characters of a line on the terminal.
WIDTH = 110
#: Slices of a dimension that are shown, largest first.
SLICES_SHOWN = 12


def audit_config(path: Path, overrides: Sequence[str] = (), *, max_rows: int, from_sources: bool) -> dict[str, Any]:
    """Audit the filter rules of a config.

    Args:
        path: The config.
        overrides: `a.b=c`.
        max_rows: Rows audited at most.
        from_sources: Read the sources even where a curated model version holds the rows.

    Returns:
        The report of `steps.filtering.audit`, with `config`, `preset`, `origin` and `notes`.

    Raises:
        ConfigError, InputError: if the config is wrong or its sources cannot be read.
    """
    config = load_config(path, overrides)
    found = None if from_sources else rows_of_version(config, "examples")
    rows = found or rows_of_sources(config)
    if not rows.examples.num_rows:
        raise InputError(f"{path}: the sources hold no example to audit; look at what extraction drops with a run")
    settings, notes = config.curation.filter, []
    count_tokens = None
    if settings.needs_tokens and rows.base_model is not None:
        from steps.filtering.tokens import token_counter

        count_tokens = token_counter(rows.base_model)
    elif settings.needs_tokens:
        settings = _without_tokens(settings)
        notes.append("bounds on tokens are left out: no base model has been made yet; run pipeline: curate first")
    chosen = AuditSettings(max_rows=max_rows, seed=config.seed)
    report = audit(rows.examples, settings, chosen, count_tokens)
    return {"config": str(path), "preset": settings.preset, "origin": rows.origin, "notes": notes, **report}


def _without_tokens(settings: FilteringSettings) -> FilteringSettings:
    if settings.length is None:
        return settings
    unbounded = {f"{end}_{part}_tokens": None for end in ("min", "max") for part in PARTS}
    return settings.model_copy(update={"length": settings.length.model_copy(update=unbounded)})


def write_page(report: dict[str, Any], path: Path) -> None:
    """Write the report as one self-contained HTML page."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(environment().get_template("audit.html.jinja").render(report=report), encoding="utf-8")


def render(report: dict[str, Any]) -> str:
    """Render the report for a terminal."""
    console = Console(record=True, width=WIDTH, file=io.StringIO())
    sampled = "" if report["n_audited"] == report["n_rows"] else f" (a sample of {report['n_rows']:,})"
    share = report["n_dropped"] / report["n_audited"]
    console.print(f"{report['n_audited']:,} rows{sampled} of {report['origin']}, preset {report['preset']}: ", end="")
    console.print(f"[bold]{report['n_dropped']:,} would be dropped ({share:.1%})[/bold]")
    for note in report["notes"]:
        console.print(f"[yellow]{note}[/yellow]")
    console.print(_rules_table(report))
    if report["silent"]:
        console.print(f"[dim]No row fails: {', '.join(report['silent'])}[/dim]\n")
    console.print(_uneven_table(report) if report["uneven"] else "No rule hits one slice far more than the rest.\n")
    for dimension in report["slices"]:
        if len(dimension["slices"]) > 1:
            console.print(_slices_table(dimension))
    for rule in report["rules"]:
        console.print(_border_table(rule))
    return console.export_text()


def _rules_table(report: dict[str, Any]) -> Table:
    table = Table(title="Rules that drop rows", title_justify="left", caption_justify="left")
    table.caption = "named: the first rule that the row fails, as the ledger has it; alone: no other rule drops the row"
    for name in ("family", "reason", "bound"):
        table.add_column(name)
    for name in ("dropped", "rate", "named", "alone"):
        table.add_column(name, justify="right")
    for rule in report["rules"]:
        counts = (f"{rule['n_dropped']:,}", f"{rule['rate']:.2%}", f"{rule['n_named']:,}", f"{rule['n_alone']:,}")
        table.add_row(rule["family"], rule["reason"], rule["bound"], *counts)
    return table


def _uneven_table(report: dict[str, Any]) -> Table:
    table = Table(title="Rules that hit one slice far more than the rest", title_justify="left")
    table.add_column("rule")
    table.add_column("slice")
    for name in ("inside", "elsewhere", "times", "p"):
        table.add_column(name, justify="right")
    for pair in report["uneven"]:
        inside = f"{pair['rate']:.1%} of {pair['n_rows']:,}"
        rest = f"{pair['rate_rest']:.1%} of {pair['n_rest']:,}"
        times = "only here" if pair["ratio"] is None else f"{pair['ratio']:.1f}"
        where = Text(f"{pair['dimension']}: {pair['slice']}")
        table.add_row(pair["reason"], where, inside, rest, times, f"{pair['p']:.1g}")
    return table


def _slices_table(dimension: dict[str, Any]) -> Table:
    table = Table(title=f"By {dimension['dimension']}", title_justify="left")
    table.add_column("slice")
    for name in ("rows", "dropped", "rate"):
        table.add_column(name, justify="right")
    table.add_column("most often named")
    for entry in dimension["slices"][:SLICES_SHOWN]:
        counts = (f"{entry['n_rows']:,}", f"{entry['n_dropped']:,}", f"{entry['rate']:.1%}")
        table.add_row(Text(entry["slice"]), *counts, entry["most_common"] or "")
    hidden = len(dimension["slices"]) - SLICES_SHOWN
    if hidden > 0:
        table.caption = f"and {hidden} smaller ones"
    return table


def _border_table(rule: dict[str, Any]) -> Table:
    title = f"{rule['reason']} {rule['bound']}".strip()
    title += ": rows at the border" if rule["bound"] else ": the first rows"
    table = Table(title=title, title_justify="left")
    table.add_column("")
    table.add_column("value", justify="right")
    table.add_column("source", max_width=18)
    table.add_column("text", max_width=70)
    for side in ("just_kept", "just_dropped"):
        for entry in rule[side]:
            value = "" if entry["value"] is None else f"{entry['value']:.4g}"
            text = entry["detail"] or entry["answer"][:140] or entry["prompt"]
            table.add_row(side.removeprefix("just_"), value, entry["source"], Text(text))
    return table
