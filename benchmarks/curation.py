"""Runs every benchmark of curation on one machine and puts their tables on one page.

    make bench-curation               # the sizes of the published tables
    make bench-curation SIZE=10000    # a short run
    python -m benchmarks.curation --from-records   # measures nothing: the page of the records that are there

Each benchmark is a program of its own that writes `benchmarks/results/NAME.json` and `NAME.md`; those that measure
peers run them in the environment that `--peers-python` names. The page is `benchmarks/results/curation.md`. A
benchmark that fails is named on the page and the program ends with 1, after the others have run; one that cannot run
here, for want of its data or of the peers, is named on the page too, and is no failure.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from benchmarks.machine import machine, sentence

RESULTS = Path("benchmarks/results")
PAGE = RESULTS / "curation.md"


class Benchmark(NamedTuple):
    """A benchmark.

    Attributes:
        name: Its module, and the name of its files.
        measures: What it measures, in words.
        short: Its arguments for a short run; `{size}` stands for the number of rows.
        has_peers: Whether it takes `--peers-python`.
        needs: Environment variable without which it cannot run, or None.
    """

    name: str
    measures: str
    short: tuple[str, ...] = ()
    has_peers: bool = False
    needs: str | None = None


BENCHMARKS = (
    Benchmark(
        "dedup",
        "near-duplicate search against its peers, with truth from all pairs",
        ("--rows", "{size}", "--growth"),
        has_peers=True,
    ),
    Benchmark(
        "filters",
        "the rules shared with datatrove: agreement and speed",
        ("--rows", "{size}", "--compared", "300", "--peer-timed", "100"),
        has_peers=True,
    ),
    Benchmark(
        "semantic", "joins over embeddings: recall against all pairs, speed", ("--sizes", "{size}"), has_peers=True
    ),
    Benchmark("decontamination", "overlap with test rows and benchmark files", ("--rows", "{size}")),
    Benchmark("extraction", "documents of every format, and agreement with reference texts", needs="TUNESMITH_DATA"),
    Benchmark("engines", "the same functions in this process and on Daft", ("--rows", "{size}")),
    Benchmark("curation_scale", "all of curation at growing sizes: CPU, memory, disk", ("--sizes", "{size}")),
)


class Outcome(NamedTuple):
    """How a benchmark ended.

    Attributes:
        benchmark: Which.
        wall_s: Seconds of the clock; None where it did not run now.
        error: Why there are no figures; None where there are.
        failed: Whether it ran and broke.
    """

    benchmark: Benchmark
    wall_s: float | None
    error: str | None
    failed: bool = False


def run(benchmark: Benchmark, size: int | None, peers: str | None) -> Outcome:
    """Run a benchmark in a process of its own; its table goes to its own file."""
    if find_spec(f"benchmarks.{benchmark.name}") is None:
        return Outcome(benchmark, None, f"benchmarks/{benchmark.name}.py is not there", failed=True)
    if benchmark.needs is not None and not os.environ.get(benchmark.needs):
        return Outcome(benchmark, None, f"{benchmark.needs} is not set")
    if benchmark.has_peers and peers is None:
        return Outcome(benchmark, None, "it needs --peers-python")
    command = [sys.executable, "-m", f"benchmarks.{benchmark.name}", *_arguments(benchmark, size, peers)]
    sys.stderr.write(f"{' '.join(command[1:])}\n")
    started = time.perf_counter()
    code = subprocess.run(command, check=False, stdout=subprocess.DEVNULL).returncode
    return Outcome(benchmark, time.perf_counter() - started, f"ended with {code}" if code else None, failed=code != 0)


def recorded(benchmark: Benchmark) -> Outcome:
    """Return the outcome of an earlier run, from its record."""
    record = RESULTS / f"{benchmark.name}.json"
    return Outcome(benchmark, None, None if record.is_file() else f"{record} is not there")


def _arguments(benchmark: Benchmark, size: int | None, peers: str | None) -> list[str]:
    """Return the arguments of a run: those of a short one if a size is given."""
    short = [] if size is None else [str(size) if each == "{size}" else each for each in benchmark.short]
    return short + (["--peers-python", peers] if benchmark.has_peers and peers is not None else [])


def page(outcomes: Sequence[Outcome], origin: str) -> str:
    """Put the tables of all benchmarks on one page.

    Args:
        outcomes: How each ended.
        origin: Where the figures come from, a sentence or two.
    """
    lines = [
        "# Curation: what was measured",
        "",
        f"{origin} CPU seconds are user and system time of the process and its children. Figures of two benchmarks "
        "compare only as ratios.",
        "",
        "| benchmark | what it measures | wall s | figures |",
        "|---|---|---:|---|",
    ]
    for outcome in outcomes:
        name, wall_s = outcome.benchmark.name, "" if outcome.wall_s is None else f"{outcome.wall_s:.0f}"
        figures = f"[{name}.json]({name}.json)" if outcome.error is None else f"not measured: {outcome.error}"
        lines.append(f"| {name} | {outcome.benchmark.measures} | {wall_s} | {figures} |")
    for outcome in outcomes:
        table = RESULTS / f"{outcome.benchmark.name}.md"
        if outcome.error is None and table.is_file():
            # One level down: each benchmark's own page begins with a first-level heading.
            lines += ["", re.sub(r"^#", "##", table.read_text(encoding="utf-8").strip(), flags=re.MULTILINE)]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the chosen benchmarks and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, help="rows of a short run; the published sizes without it")
    parser.add_argument(
        "--peers-python",
        help="interpreter with the peers; some benchmarks need it",
    )
    parser.add_argument(
        "--from-records", action="store_true", help="run nothing; compose the page from the records of earlier runs"
    )
    parser.add_argument("--only", nargs="+", choices=[each.name for each in BENCHMARKS], help="run just these")
    chosen = parser.parse_args(arguments)
    wanted = [each for each in BENCHMARKS if chosen.only is None or each.name in chosen.only]
    RESULTS.mkdir(parents=True, exist_ok=True)
    if chosen.from_records:
        outcomes = [recorded(benchmark) for benchmark in wanted]
        origin = "Each benchmark's own recorded run; every section names its machine."
    else:
        outcomes = [run(benchmark, chosen.size, chosen.peers_python) for benchmark in wanted]
        command = f"make bench-curation{f' SIZE={chosen.size}' if chosen.size else ''}"
        origin = f"{sentence(machine())}. All in one run of `{command}`."
    text = page(outcomes, origin)
    PAGE.write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    failed = [f"{outcome.benchmark.name} {outcome.error}" for outcome in outcomes if outcome.failed]
    if failed:
        raise SystemExit(f"{'; '.join(failed)}; its messages stand above")


if __name__ == "__main__":
    main()
