"""Curation end to end at growing sizes: CPU seconds, memory, bytes on disk, and how they grow.

    python -m benchmarks.curation_scale --sizes 10000 100000 300000 1000000

Generated short conversations (`benchmarks.chats`) go through import, filters, exact and near-duplicate search, split
and decontamination. After every stage its tables go to a store of Parquet files and are loaded from it again, as a
pipeline does. Every size runs in a process of its own. Writes `benchmarks/results/curation_scale.{json,md}`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks import chats
from benchmarks.machine import PeakMemory, cpu_s, machine, sentence
from benchmarks.records import write
from steps.engines.engine import engine_of
from steps.engines.settings import EngineSettings
from steps.parquet import read_parquet, write_parquet

#: Rows that warm up before the clock starts: compiled kernels, imports.
WARM_UP_ROWS = 2_000
#: Rows on which the tokenizer that counts tokens is trained.
TOKENIZER_ROWS, VOCABULARY = 5_000, 4_000


class Store:
    """Tables between stages, as an artifact store keeps them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True)

    def save(self, **tables: pa.Table) -> None:
        """Write tables to Parquet."""
        for name, table in tables.items():
            with (self._folder / f"{name}.parquet").open("wb") as file:
                write_parquet(table, file)

    def load(self, name: str) -> pa.Table:
        """Read a table back."""
        return read_parquet(str(self._folder / f"{name}.parquet"), memory_map=True)

    @property
    def bytes(self) -> int:
        """Size of all files."""
        return sum(path.stat().st_size for path in self._folder.iterdir())


class Curation:
    """The stages, each from store to store."""

    def __init__(self, folder: Path, rows: int, engine: EngineSettings) -> None:
        self.input = folder / "chats.parquet"
        self.store = Store(folder / "store")
        self.model = folder / "model"
        self.engine = engine
        chats.write(self.input, rows)
        _train_tokenizer(self.model)

    @property
    def stages(self) -> dict[str, Callable[[], int]]:
        """Stages in order; each returns the number of rows that it leaves."""
        return {
            "import": self.import_rows,
            "filter": self.filter_rows,
            "exact": lambda: self.dedup("exact", "filtered", "exact_unique"),
            "minhash": lambda: self.dedup("minhash", "exact_unique", "unique"),
            "judge none": self.judge,
            "split": self.split,
            "decontaminate": self.decontaminate,
        }

    def import_rows(self) -> int:
        found = _extracted(self.input)
        self.store.save(examples=found.examples, extract_ledger=found.ledger)
        return int(found.examples.num_rows)

    def filter_rows(self) -> int:
        from steps.filtering.rules import FilteringSettings, apply_filters
        from steps.filtering.tokens import token_counter, with_token_counts

        count = token_counter(self.model)
        result = apply_filters(self.store.load("examples"), FilteringSettings(), count, engine_of(self.engine))
        self.store.save(filtered=with_token_counts(result.kept, count), filter_ledger=result.ledger)
        return int(result.kept.num_rows)

    def dedup(self, method: Any, source: str, target: str) -> int:
        from steps.dedup.clusters import DedupSettings, deduplicate

        result = deduplicate(method, self.store.load(source), DedupSettings(), self.engine)
        self.store.save(**{target: result.kept, f"dedup_{method}_ledger": result.ledger})
        return int(result.kept.num_rows)

    def judge(self) -> int:
        from steps.judging.judge import judge_rows
        from steps.judging.judging_settings import JudgingSettings

        result = judge_rows(self.store.load("unique"), JudgingSettings(judges=()))
        self.store.save(scored=result.kept, judge_ledger=result.ledger)
        return int(result.kept.num_rows)

    def split(self) -> int:
        from steps.splitting.split import SplitSettings, split_examples

        result = split_examples(self.store.load("scored"), SplitSettings())
        self.store.save(split=result.kept, split_ledger=result.ledger)
        return int(result.kept.num_rows)

    def decontaminate(self) -> int:
        from steps.splitting.decontaminate import DecontaminationSettings, decontaminate

        result = decontaminate(self.store.load("split"), DecontaminationSettings())
        self.store.save(sft_dataset=result.kept, decontaminate_ledger=result.ledger)
        return int(result.kept.num_rows)


def imported(folder: Path, rows: int) -> pa.Table:
    """Return generated conversations as import makes them, schema `EXAMPLES`."""
    chats.write(folder / "chats.parquet", rows)
    return _extracted(folder / "chats.parquet").examples


def _extracted(path: Path) -> Any:
    from steps.extraction.extract import extract
    from steps.extraction.sources import DatasetSource, ExtractionSettings, Sources

    return extract(Sources(sources=(DatasetSource(name="chats", path=str(path)),)), ExtractionSettings())


def measure(rows: int, engine: EngineSettings) -> dict[str, Any]:
    """Curate `rows` conversations in this process and return what each stage took."""
    with tempfile.TemporaryDirectory(prefix="curation-scale-") as folder:
        warm_up = Curation(Path(folder, "warm-up"), WARM_UP_ROWS, engine)
        for stage in warm_up.stages.values():
            stage()
        curation = Curation(Path(folder, "run"), rows, engine)
        stages = {name: _measured(stage) for name, stage in curation.stages.items()}
        return {
            "rows": rows,
            "engine": engine.type,
            "input_bytes": curation.input.stat().st_size,
            "store_bytes": curation.store.bytes,
            "rows_out": next(reversed(stages.values()))["rows_out"],
            "cpu_s": sum(stage["cpu_s"] for stage in stages.values()),
            "wall_s": sum(stage["wall_s"] for stage in stages.values()),
            "peak_anonymous_mib": max(stage["peak_anonymous_mib"] for stage in stages.values()),
            "peak_file_mib": max(stage["peak_file_mib"] for stage in stages.values()),
            "stages": stages,
        }


def _measured(stage: Callable[[], int]) -> dict[str, float]:
    started, used = time.perf_counter(), cpu_s()
    with PeakMemory() as peak:
        rows_out = stage()
    return {
        "rows_out": rows_out,
        "cpu_s": cpu_s() - used,
        "wall_s": time.perf_counter() - started,
        "peak_anonymous_mib": peak.anonymous_mib,
        "peak_file_mib": peak.file_mib,
    }


def _train_tokenizer(folder: Path) -> None:
    """Write a byte-level tokenizer, trained on the first conversations."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    folder.mkdir(parents=True)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    texts = [
        turn["content"]
        for block in chats.blocks(TOKENIZER_ROWS)
        for messages in block["messages"].to_pylist()
        for turn in messages
    ]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.save(str(folder / "tokenizer.json"))


def exponents(runs: Sequence[dict[str, Any]], value: Callable[[dict[str, Any]], float]) -> float | None:
    """Return the slope of log(value) over log(rows), by least squares over the sizes; None for fewer than two."""
    if len(runs) < 2:
        return None
    rows = np.log([run["rows"] for run in runs])
    return float(np.polyfit(rows, np.log([max(value(run), 1e-3) for run in runs]), 1)[0])


def page(record: dict[str, Any]) -> str:
    """Write the tables."""
    runs = record["runs"]
    lines = [
        "# Curation at growing sizes",
        "",
        f"{sentence(record['machine'])}. Generated conversations of about 350 bytes; every stage stores its tables and "
        "the next one loads them. Anonymous memory is what the process holds; file pages are mapped from disk, and the "
        "system takes them back when memory is short.",
        "",
        "| rows | rows out | CPU s | rows / CPU-s | wall s | peak anonymous MiB | peak file pages MiB | store MB |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {run['rows']:,} | {run['rows_out']:,} | {run['cpu_s']:.1f} | {run['rows'] / run['cpu_s']:,.0f} | "
        f"{run['wall_s']:.1f} | {run['peak_anonymous_mib']:,.0f} | {run['peak_file_mib']:,.0f} | "
        f"{run['store_bytes'] / 1e6:,.0f} |"
        for run in runs
    ]
    stages = list(runs[-1]["stages"])
    lines += ["", "CPU seconds (and peak anonymous MiB) of each stage:", ""]
    lines += [
        "| stage | " + " | ".join(f"{run['rows']:,}" for run in runs) + " | growth exponent |",
        "|---|" + "---:|" * (len(runs) + 1),
    ]
    for stage in stages:
        cells = [
            f"{run['stages'][stage]['cpu_s']:.2f} ({run['stages'][stage]['peak_anonymous_mib']:,.0f})" for run in runs
        ]
        slope = exponents(runs, lambda run, stage=stage: run["stages"][stage]["cpu_s"])
        lines.append(f"| {stage} | {' | '.join(cells)} | {_shown(slope)} |")
    total = exponents(runs, lambda run: run["cpu_s"])
    memory = exponents(runs, lambda run: run["peak_anonymous_mib"])
    cells = [f"{run['cpu_s']:.1f} ({run['peak_anonymous_mib']:,.0f})" for run in runs]
    lines += [f"| all | {' | '.join(cells)} | {_shown(total)} (memory {_shown(memory)}) |", ""]
    if len(runs) > 1 and total is not None:
        lines += [_extrapolated(runs, total), ""]
    return "\n".join(lines)


def _extrapolated(runs: Sequence[dict[str, Any]], exponent: float) -> str:
    """Say what ten million rows would take: CPU and disk by growth, memory along the line of the last two sizes."""
    before, last = runs[-2:]
    factor = 10_000_000 / last["rows"]
    per_row = (last["peak_anonymous_mib"] - before["peak_anonymous_mib"]) / (last["rows"] - before["rows"])
    memory = last["peak_anonymous_mib"] + per_row * (10_000_000 - last["rows"])
    store = last["store_bytes"] * factor
    return (
        f"Extrapolated to 10,000,000 rows, not measured: {last['cpu_s'] * factor ** max(exponent, 1):,.0f} CPU s, "
        f"{memory / 1024:.0f} GiB of anonymous memory at the peak, {store / 1e9:.0f} GB of store."
    )


def _shown(exponent: float | None) -> str:
    return "–" if exponent is None else f"{exponent:.2f}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run every size in a child process and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 300_000, 1_000_000])
    parser.add_argument("--engine", choices=["local", "daft"], default="local")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    engine = EngineSettings(type=chosen.engine)
    if chosen.child is not None:
        sys.stdout.write(json.dumps(measure(chosen.child, engine)))
        return
    runs = []
    for rows in chosen.sizes:
        command = [sys.executable, "-m", "benchmarks.curation_scale", "--child", str(rows), "--engine", chosen.engine]
        runs.append(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout))
        sys.stderr.write(f"{rows:,} rows: {runs[-1]['cpu_s']:.1f} CPU s\n")
        record = {"machine": machine(), "runs": runs}
        # After every size, so that a run cut short is of use.
        write("curation_scale", record, page(record))
    sys.stdout.write(page(record))


if __name__ == "__main__":
    main()
