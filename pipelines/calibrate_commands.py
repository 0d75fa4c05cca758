"""`tunesmith calibrate`: labels of people, and how far the judges agree with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from pipelines.command import AS_JSON, CONFIG, DEBUG, OVERRIDES, reporting_errors

_FILE = click.Path(path_type=Path)


@click.group()
def calibrate() -> None:
    """Let people label a sample, and report how far the judges agree with them."""


@calibrate.command()
@CONFIG
@OVERRIDES
@click.option("--n", default=100, show_default=True, type=click.IntRange(min=1), help="Rows, or pairs, to label.")
@click.option("--out", default="labels.csv", show_default=True, type=_FILE, help="File to write: .csv or .jsonl.")
@click.option("--pairs", is_flag=True, help="Sample preference pairs instead of single answers.")
@click.option("--both-orders", is_flag=True, help="Ask every pair twice, with the answers swapped.")
@click.option("--scale", default="yes-no", show_default=True, help="Of single answers: yes-no, or e.g. 1-5.")
@click.option("--criterion", "criteria", multiple=True, help="A criterion of the rubric to label too; may be repeated.")
@click.option("--score-bands", default=4, show_default=True, type=click.IntRange(1, 20), help="Strata of judge scores.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@DEBUG
@reporting_errors
def sample(config: Path, overrides: tuple[str, ...], out: Path, force: bool, **asked: Any) -> None:
    """Write a stratified sample of CONFIG's newest curated version for people to label."""
    from pipelines.calibrating import write_sample

    done = write_sample(config, overrides, out, force=force, **asked)
    click.echo(f"{done['n_rows']} rows of {done['origin']}, {done['n_strata']} strata by source, kind and score: {out}")
    click.echo(f"label them in a spreadsheet (columns annotator, label), or with: tunesmith calibrate label {out}")


@calibrate.command()
@click.argument("file", type=_FILE)
@click.option("--port", default=0, type=click.IntRange(0, 65535), help="Port on 127.0.0.1; default: a free one.")
@click.option("--open", "open_browser", is_flag=True, help="Open the page in the browser.")
@DEBUG
@reporting_errors
def label(file: Path, port: int, open_browser: bool) -> None:
    """Serve a page to label FILE in, to this machine alone; Ctrl-C ends it. Each label is saved at once."""
    from pipelines.calibrating import serve_labels

    serve_labels(file, port, open_browser=open_browser)


@calibrate.command()
@click.argument("labels", nargs=-1, required=True, type=_FILE)
@click.option("--config", default=None, type=_FILE, help="Config whose newest version holds the verdicts.")
@click.option("--verdicts", multiple=True, type=_FILE, help="JSONL of saved judge outputs; may be repeated.")
@OVERRIDES
@click.option("--out", default=None, type=_FILE, help="Write the calibration, for curation.judge.calibration_path.")
@click.option("--html", "page", default=None, type=_FILE, help="Write the report as a page too.")
@click.option("--min-agreement", default=0.8, show_default=True, type=click.FloatRange(0, 1), help="To pass.")
@click.option("--min-labels", default=50, show_default=True, type=click.IntRange(2), help="To learn jury weights from.")
@click.option("--threshold", default=None, type=float, help="Judge score that keeps an answer; default: the config's.")
@click.option("--label-threshold", default=None, type=float, help="Label that keeps an answer; default: --threshold.")
@click.option("--seed", default=7, show_default=True, type=click.IntRange(0), help="Of intervals and folds.")
@AS_JSON
@DEBUG
@reporting_errors
def report(
    labels: tuple[Path, ...],
    config: Path | None,
    verdicts: tuple[Path, ...],
    overrides: tuple[str, ...],
    out: Path | None,
    page: Path | None,
    as_json: bool,
    **asked: Any,
) -> None:
    """Compare judges with the LABELS of people: agreement, kappas, biases, the human ceiling, jury weights.

    Verdicts come from the newest version of --config, from files of saved judge outputs, or both. Without either, only
    the agreement of people with each other is reported.
    """
    from pipelines.calibrating import report_agreement
    from pipelines.calibration_report import render, write_page

    found = report_agreement(labels, config, overrides, verdicts, asked)
    if out is not None:
        from steps.judging.calibration import write_calibration

        write_calibration(found.calibration, out)
    if page is not None:
        write_page(found.report, page)
    click.echo(json.dumps(found.report, indent=1, ensure_ascii=False) if as_json else render(found.report))
