"""The agreement report for a terminal, and as a page."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from steps.preview import environment

#: Characters of a line on the terminal.
WIDTH = 110
#: Pairs of annotators that are shown, those with most items in common first.
_PAIRS_SHOWN = 12


def write_page(report: dict[str, Any], path: Path) -> None:
    """Write the report as one self-contained HTML page."""
    path.parent.mkdir(parents=True, exist_ok=True)
    template = environment().get_template("calibration.html.jinja")
    path.write_text(template.render(report=report, figure=figure), encoding="utf-8")


def figure(estimate: dict[str, Any]) -> str:
    """Say an estimate: `0.84 (0.76 to 0.90)`, or a dash where it is not defined.

    >>> figure({"value": 0.8412, "low": 0.756, "high": 0.899, "n": 100})
    '0.84 (0.76 to 0.90)'
    """
    if estimate["value"] is None:
        return "–"
    if estimate["low"] is None:
        return f"{estimate['value']:.2f}"
    return f"{estimate['value']:.2f} ({estimate['low']:.2f} to {estimate['high']:.2f})"


def render(report: dict[str, Any]) -> str:
    """Render the report for a terminal."""
    console = Console(record=True, width=WIDTH, file=io.StringIO())
    what = "pairs" if report["task"] == "pairwise" else "answers"
    people = report["people"]
    console.print(f"{report['n_labels']} labels of {len(people['annotators'])} people on {report['n_items']} {what}")
    console.print(f"[dim]{_left_out(report)}Intervals in brackets are 95 %.[/dim]\n")
    console.print(_people_table(report))
    if people["pairs"]:
        console.print(_annotators_table(people))
    if report["judges"]:
        console.print(_judges_table(report))
        console.print(_bias_table(report))
    for judge in report["judges"]:
        for part in (_confusion_table(judge), _criteria_table(judge)):
            if part is not None:
                console.print(part)
    if report["jury"] is not None and report["jury"]["learned"]:
        console.print(_jury_table(report["jury"]))
    for warning in report["warnings"]:
        console.print(Text(f"! {warning}", style="yellow"))
    return console.export_text()


def _left_out(report: dict[str, Any]) -> str:
    counts = (
        (report["n_skipped"], "skipped"),
        (report["n_without_majority"], "items without a majority"),
        (report["n_ties"], "ties by the majority, which count in the kappas only"),
    )
    said = ", ".join(f"{n} {what}" for n, what in counts if n)
    return f"{said}. " if said else ""


def _people_table(report: dict[str, Any]) -> Table:
    table = _table("How far people agree with each other", ("figure", "value", "items"))
    people = report["people"]
    rows = [("human ceiling: one person with the majority of the others", people["ceiling"])]
    rows.append(("Fleiss' kappa", people["fleiss_kappa"]))
    rows += [(f"Krippendorff's alpha, {level}", found) for level, found in people["alpha"].items()]
    if "position" in people:
        rows.append(("wins of the answer shown as A", people["position"]["first_wins"]))
        if people["position"]["consistent"]["n"]:
            rows.append(("same winner when the sides were swapped", people["position"]["consistent"]))
    for name, found in rows:
        table.add_row(name, figure(found), str(found["n"]))
    return table


def _annotators_table(people: dict[str, Any]) -> Table:
    table = _table("Two people, the same items", ("annotators", "same label", "Cohen's kappa", "items"))
    pairs = sorted(people["pairs"], key=lambda pair: (-pair["n"], pair["a"], pair["b"]))
    for pair in pairs[:_PAIRS_SHOWN]:
        kappa = "–" if pair["kappa"] is None else f"{pair['kappa']:.2f}"
        table.add_row(Text(f"{pair['a']}, {pair['b']}"), f"{pair['same']:.2f}", kappa, str(pair["n"]))
    if len(pairs) > _PAIRS_SHOWN:
        table.caption = f"and {len(pairs) - _PAIRS_SHOWN} more pairs of people"
    return table


def _judges_table(report: dict[str, Any]) -> Table:
    title = f"Judges beside the majority of people; {report['min_agreement']:g} of pairs is asked for"
    if report["task"] == "pairwise":
        table = _table(title, ("judge", "agreement", "exact, with ties", "Cohen's kappa", "passes", "no score"))
        middle = "exact"
    else:
        table = _table(title, ("judge", "agreement in order", "Spearman", "Cohen's kappa", "passes", "no score"))
        middle = "spearman"
    for judge in report["judges"]:
        figures = (figure(judge["agreement"]), figure(judge[middle]), figure(judge["kappa"]))
        table.add_row(Text(judge["judge"]), *figures, "yes" if judge["passes"] else "NO", str(judge["n_unscored"]))
    return table


def _bias_table(report: dict[str, Any]) -> Table:
    if report["task"] == "pairwise":
        columns = ("judge", "first shown wins", "same when swapped", "longer wins", "beyond people")
        table = _table("Position and length", columns)
        for judge in report["judges"]:
            position, length = judge["position"], judge["length"]
            found = (position["first_wins"], position["consistent"], length["judge_longer_wins"], length["excess"])
            table.add_row(Text(judge["judge"]), *map(figure, found))
        return table
    columns = ("judge", "Kendall", "with length", "people with length", "same at threshold")
    table = _table("Order, length and threshold", columns)
    for judge in report["judges"]:
        length, bound = judge["length"], judge["at_threshold"]
        order = (judge["kendall"], length["judge_with_length"], length["people_with_length"])
        at_bound = "–" if bound is None else f"{figure(bound['same'])} at {bound['threshold']:g}"
        table.add_row(Text(judge["judge"]), *map(figure, order), at_bound)
    return table


def _confusion_table(judge: dict[str, Any]) -> Table | None:
    if "confusion" not in judge:
        return None
    table = _table(f"{judge['judge']}: people's label (rows) and the judge's", ("people", *judge["confusion"]))
    for said, given in judge["confusion"].items():
        table.add_row(said, *map(str, given.values()))
    return table


def _criteria_table(judge: dict[str, Any]) -> Table | None:
    if not judge["criteria"]:
        return None
    table = _table(f"{judge['judge']}: by criterion", ("criterion", "agreement", "Spearman", "items"))
    for found in judge["criteria"]:
        figures = (figure(found["agreement"]), figure(found["spearman"]), str(found["agreement"]["n"]))
        table.add_row(Text(found["criterion"]), *figures)
    return table


def _jury_table(jury: dict[str, Any]) -> Table:
    table = _table(f"A jury of these judges, on labels not learned from ({jury['n']})", ("way", "agreement"))
    ways = (("weighted", "weights from labels"), ("majority", "one vote each"), ("best", "best member alone"))
    for way, words in ways:
        table.add_row(words, figure(jury[way]))
    table.caption = "weights: " + ", ".join(f"{one['judge']} {one['weight']:.2f}" for one in jury["weights"])
    return table


def _table(title: str, columns: tuple[str, ...]) -> Table:
    table = Table(title=Text(title), title_justify="left", caption_justify="left")
    for number, name in enumerate(columns):
        table.add_column(name, justify="right" if number else "left", overflow="fold")
    return table
