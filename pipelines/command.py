"""What the commands of the command line share: options, and how an error is reported."""

from __future__ import annotations

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
