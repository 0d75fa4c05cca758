"""The command line: `tunesmith run CONFIG` and what belongs to it."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from steps.errors import TunesmithError

F = TypeVar("F", bound=Callable[..., Any])

CONFIG = click.argument("config", type=click.Path(path_type=Path))
OVERRIDES = click.option("--set", "overrides", multiple=True, metavar="A.B=C", help="Override one key of the config.")
DEBUG = click.option("--debug", is_flag=True, help="Show the traceback of an error.")
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on stdout.")


def reporting_errors(command: F) -> F:
    """Turn an expected error into one paragraph on stderr and its exit code; a traceback only with --debug."""

    @wraps(command)
    def wrapped(*args: Any, debug: bool, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except Exception as error:
            if debug:
                traceback.print_exc()
            if isinstance(error, TunesmithError):
                click.echo(f"tunesmith: {error}", err=True)
                sys.exit(error.exit_code)
            if debug:
                sys.exit(1)
            click.echo(
                f"tunesmith: unexpected {type(error).__name__}: {error}\nRun again with --debug to see where.", err=True
            )
            sys.exit(1)

    return wrapped  # type: ignore[return-value]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tunesmith", prog_name="tunesmith")
def main() -> None:
    """Turn documents and data sets into a fine-tuned model that deserves to be promoted.

    Exit codes: 0 done, 1 the run failed, 2 the config or input is wrong (nothing was started), 3 the gate refused
    promotion.
    """


@main.command()
@CONFIG
@OVERRIDES
@click.option("--no-cache", is_flag=True, help="Run every step again.")
@AS_JSON
@DEBUG
@reporting_errors
def run(config: Path, overrides: tuple[str, ...], no_cache: bool, as_json: bool) -> None:
    """Validate everything, then run the pipeline that CONFIG names."""
    from pipelines.runner import run_config

    outcome = run_config(config, overrides, use_cache=not no_cache)
    if as_json:
        click.echo(json.dumps(outcome.summary, indent=1))
    if outcome.refused is not None:
        raise outcome.refused


@main.command()
@CONFIG
@OVERRIDES
@AS_JSON
@DEBUG
@reporting_errors
def plan(config: Path, overrides: tuple[str, ...], as_json: bool) -> None:
    """Validate CONFIG and show what a run would read and make; runs nothing."""
    from pipelines.runner import plan_config

    planned = plan_config(config, overrides)
    if as_json:
        click.echo(json.dumps(planned, indent=1))
        return
    for key, value in planned.items():
        # What is asked of models takes a line each.
        between = f"\n{'':20s} " if key == "asks" else ", "
        click.echo(f"{key:20s} {between.join(map(str, value)) if isinstance(value, list) else value}")


@main.command()
@CONFIG
@OVERRIDES
@click.option("--rows", default=50_000, show_default=True, type=click.IntRange(min=1), help="Rows audited at most.")
@click.option("--sources", is_flag=True, help="Read the sources even where a curated version holds the rows.")
@click.option("--html", "page", type=click.Path(path_type=Path), default=None, help="Write the report as a page too.")
@AS_JSON
@DEBUG
@reporting_errors
def audit(config: Path, overrides: tuple[str, ...], rows: int, sources: bool, page: Path | None, as_json: bool) -> None:
    """Show what the filter rules of CONFIG do to its rows: drop rates, slices that suffer, rows at the border."""
    from pipelines.auditing import audit_config, render, write_page

    report = audit_config(config, overrides, max_rows=rows, from_sources=sources)
    if page is not None:
        write_page(report, page)
    click.echo(json.dumps(report, indent=1, ensure_ascii=False) if as_json else render(report))


@main.command()
@click.argument("row_id")
@click.option("--name", default=None, help="Model name whose latest version is searched; default: all models.")
@AS_JSON
@DEBUG
@reporting_errors
def trace(row_id: str, name: str | None, as_json: bool) -> None:
    """Show the life of a row: where it came from, and every stage's decision with its evidence."""
    from pipelines.runtime import prepare_environment
    from pipelines.tracing import show, trace_row

    prepare_environment()
    found = trace_row(row_id, name)
    click.echo(json.dumps(found, indent=1) if as_json else show(found))


@main.command()
@CONFIG
@OVERRIDES
@AS_JSON
@DEBUG
@reporting_errors
def index(config: Path, overrides: tuple[str, ...], as_json: bool) -> None:
    """Add the newest data set to the index that CONFIG names, so that later data which repeats it is dropped."""
    from pipelines.indexing import index_rows

    done = index_rows(config, overrides)
    said = f"{done['index']}: {done['added']} rows of {done['version']} added, {done['rows']} in all"
    click.echo(json.dumps(done, indent=1) if as_json else said)


@main.command()
@CONFIG
@click.option("--row", default=0, show_default=True, help="Zero-based row of the training split.")
@DEBUG
@reporting_errors
def tokens(config: Path, row: int) -> None:
    """Show the exact tokens of a row of CONFIG's newest data set; the trained ones are coloured."""
    from pipelines.inspect_tokens import tokens_of_row

    click.echo(tokens_of_row(config, row))


@main.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--prompt", default=None, help="Ask once and end; without it, a conversation on the terminal.")
@click.option("--system", default=None, help="System message.")
@click.option("--max-new-tokens", default=256, show_default=True, help="Longest answer, in tokens.")
@click.option("--temperature", default=0.0, show_default=True, help="0 is greedy.")
@DEBUG
@reporting_errors
def chat(model: Path, prompt: str | None, system: str | None, max_new_tokens: int, temperature: float) -> None:
    """Talk to a released MODEL directory, with the template it was trained with; answers stream."""
    from pipelines.chatting import converse

    converse(model, prompt, system, max_new_tokens, temperature)


if __name__ == "__main__":
    main()
