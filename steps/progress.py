"""Progress of long work on stderr: a rich bar on a terminal, a plain line now and then elsewhere.

Bars that overlap (a step inside a pipeline that shows its own) print plainly rather than fight for the screen.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import Protocol, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

T = TypeVar("T")

#: Seconds between two plain lines, so that a log of an hour's training stays readable.
PLAIN_INTERVAL_S = 10.0


class Bar(Protocol):
    """What `progress` hands out."""

    def advance(self, n: int = 1, note: str = "") -> None:
        """Count `n` more items as done; `note` is shown beside the bar (a loss, say)."""


class _RichBar:
    def __init__(self, bar: Progress, description: str, total: int | None) -> None:
        self._bar = bar
        self._task = bar.add_task(description, total=total, note="")

    def advance(self, n: int = 1, note: str = "") -> None:
        self._bar.update(self._task, advance=n, note=note)


class _PlainBar:
    def __init__(self, description: str, total: int | None) -> None:
        self._description, self._total, self._done = description, total, 0
        self._printed_at = time.monotonic()

    def advance(self, n: int = 1, note: str = "") -> None:
        self._done += n
        if time.monotonic() - self._printed_at >= PLAIN_INTERVAL_S:
            self._printed_at = time.monotonic()
            of = f"/{self._total}" if self._total is not None else ""
            print(f"{self._description}: {self._done}{of} {note}".rstrip(), file=sys.stderr, flush=True)


@contextmanager
def progress(description: str, total: int | None = None) -> Iterator[Bar]:
    """Show the progress of the block; `total` None means that the end is not known."""
    if not sys.stderr.isatty():
        yield _PlainBar(description, total)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield _RichBar(bar, description, total)


def track(items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
    """Yield the items, showing how many are done."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    with progress(description, total) as bar:
        for item in items:
            yield item
            bar.advance()
