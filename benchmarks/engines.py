"""The same functions of curation in this process and on Daft: CPU seconds, and whether the rows are the same.

    python -m benchmarks.engines --rows 100000

Generated short conversations (`benchmarks.chats`). Both engines run in turn, three times, each time in one process
that has warmed up. Daft runs natively; the ratio is of the medians. Writes `benchmarks/results/engines.{json,md}`.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from benchmarks.curation_scale import imported
from benchmarks.machine import cpu_s, machine, sentence
from benchmarks.records import write
from steps.dedup.clusters import DedupSettings, deduplicate
from steps.engines.engine import engine_of
from steps.engines.settings import EngineSettings
from steps.filtering.rules import FilteringSettings, apply_filters

ENGINES = {"local": EngineSettings(), "daft": EngineSettings(type="daft")}
WARM_UP_ROWS = 3_000

Outcome = tuple[pa.Table, pa.Table]


def _filter(rows: pa.Table, engine: EngineSettings) -> Outcome:
    result = apply_filters(rows, FilteringSettings(), engine=engine_of(engine))
    return result.kept, result.ledger


def _exact(rows: pa.Table, engine: EngineSettings) -> Outcome:
    return deduplicate("exact", rows, DedupSettings(), engine)[:2]


def _minhash(rows: pa.Table, engine: EngineSettings) -> Outcome:
    return deduplicate("minhash", rows, DedupSettings(), engine)[:2]


STAGES: dict[str, Callable[[pa.Table, EngineSettings], Outcome]] = {
    "filter": _filter,
    "exact": _exact,
    "minhash": _minhash,
}


def measure(rows: int, repeats: int) -> dict[str, Any]:
    """Run every stage on every engine in turn; each stage gets what the one before it left."""
    with tempfile.TemporaryDirectory(prefix="engines-") as folder:
        table = imported(Path(folder), max(rows, WARM_UP_ROWS)).slice(0, rows)
    found: dict[str, Any] = {}
    for name, stage in STAGES.items():
        for engine in ENGINES.values():
            stage(table.slice(0, WARM_UP_ROWS), engine)
        times: dict[str, list[tuple[float, float]]] = {engine: [] for engine in ENGINES}
        outcomes: dict[str, Outcome] = {}
        for _ in range(repeats):
            for engine, settings in ENGINES.items():
                started, used = time.perf_counter(), cpu_s()
                outcomes[engine] = stage(table, settings)
                times[engine].append((cpu_s() - used, time.perf_counter() - started))
        medians = {
            engine: {"cpu_s": statistics.median(t[0] for t in taken), "wall_s": statistics.median(t[1] for t in taken)}
            for engine, taken in times.items()
        }
        found[name] = {
            "rows_in": table.num_rows,
            "rows_out": outcomes["local"][0].num_rows,
            "engines": medians,
            "cpu_ratio": medians["daft"]["cpu_s"] / medians["local"]["cpu_s"],
            "same_rows": outcomes["local"][0].equals(outcomes["daft"][0]),
            "same_ledger": outcomes["local"][1].equals(outcomes["daft"][1]),
        }
        table = outcomes["local"][0]
    return found


def page(record: dict[str, Any]) -> str:
    """Write the table."""
    stages = record["stages"]
    total = {engine: sum(stage["engines"][engine]["cpu_s"] for stage in stages.values()) for engine in ENGINES}
    lines = [
        "# Engines: in this process and on Daft",
        "",
        f"{sentence(record['machine'])}. {record['rows']:,} generated conversations of about 350 bytes; medians of "
        f"{record['repeats']} runs in turn. Daft {record['daft']} runs natively.",
        "",
        "| stage | rows in | rows out | local CPU s (wall) | Daft CPU s (wall) | CPU ratio | same rows and ledger |",
        "|---|---:|---:|---:|---:|---:|---|",
    ]
    for name, stage in stages.items():
        local, daft = (stage["engines"][engine] for engine in ENGINES)
        same = "yes" if stage["same_rows"] and stage["same_ledger"] else "NO"
        lines.append(
            f"| {name} | {stage['rows_in']:,} | {stage['rows_out']:,} | {local['cpu_s']:.2f} ({local['wall_s']:.2f}) | "
            f"{daft['cpu_s']:.2f} ({daft['wall_s']:.2f}) | {stage['cpu_ratio']:.2f} | {same} |"
        )
    ratio = total["daft"] / total["local"]
    lines += [f"| all | | | {total['local']:.2f} | {total['daft']:.2f} | {ratio:.2f} | |", ""]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=3)
    chosen = parser.parse_args(arguments)
    import daft

    stages = measure(chosen.rows, chosen.repeats)
    record = {
        "machine": machine(), "daft": daft.__version__, "rows": chosen.rows, "repeats": chosen.repeats, "stages": stages
    }  # fmt: skip
    text = page(record)
    write("engines", record, text)
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
