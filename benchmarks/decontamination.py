"""Measures decontamination: speed, recall on planted leaks, and false alarms on text that shares nothing.

    python -m benchmarks.decontamination [--rows 200000]

Texts are made of words drawn as a natural text's are (Zipf), with the lengths of instruction data. The leaks are made
from the protected texts: verbatim inside longer text, with words inserted, with words exchanged, cut in half.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.machine import PeakMemory
from benchmarks.records import write
from steps.rows import SFT, content_id
from steps.splitting.decontaminate import DecontaminationSettings, decontaminate

N_BENCHMARK = 5_000
N_PLANTED = 1_000
PROMPT_WORDS, ANSWER_WORDS = 40, 230
METHODS: dict[str, dict[str, Any]] = {
    "13-grams alone": {"coverage": None},
    "8-gram coverage alone": {"min_overlap": None},
    "both (default)": {},
}
#: Words between two edits of a planted leak: 13-grams need 13 words in a row.
EDIT_EVERY = (15, 12, 9)


def main() -> None:
    """Run all parts and write `benchmarks/results/decontamination.{json,md}`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[20_000, 100_000, 200_000])
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    rng = np.random.default_rng(7)
    vocabulary = np.array([f"w{i:x}" for i in range(50_000)])
    with tempfile.TemporaryDirectory() as folder:
        benchmark = [_text(rng, vocabulary, PROMPT_WORDS) for _ in range(N_BENCHMARK)]
        path = Path(folder, "benchmark.jsonl")
        path.write_text("".join(json.dumps({"question": text}) + "\n" for text in benchmark), encoding="utf-8")
        record = {
            "machine": _machine(),
            "n_benchmark_texts": N_BENCHMARK,
            "recall": _recall(rng, vocabulary, benchmark, path),
            "speed": [_speed(rng, vocabulary, path, n, arguments.repeats) for n in arguments.rows],
        }
    page = _page(record)
    write("decontamination", record, page)
    sys.stdout.write(page)


def _text(rng: np.random.Generator, vocabulary: np.ndarray, n_words: int) -> str:
    n = max(8, int(rng.lognormal(np.log(n_words), 0.5)))
    # Zipf's law with exponent 1: the rank is exponential in a uniform number.
    return " ".join(vocabulary[(len(vocabulary) ** rng.random(n)).astype(int) - 1])


def _dataset(prompts: list[str], answers: list[str], n_test: int = 1) -> pa.Table:
    """Build a table of schema `SFT`, column by column."""
    n = len(prompts)
    turns = [text for pair in zip(prompts, answers, strict=True) for text in pair]
    roles = pa.array(["user", "assistant"] * n)
    flat = pa.StructArray.from_arrays([roles, pa.array(turns)], fields=list(SFT.field("messages").type.value_type))
    columns: dict[str, pa.Array] = {
        "id": pa.array([content_id("bench", i) for i in range(n)]),
        "messages": pa.ListArray.from_arrays(pa.array(np.arange(0, 2 * n + 1, 2, dtype=np.int32)), flat),
        "split": pa.array(["test"] * n_test + ["train"] * (n - n_test)),
    }
    constant = {"kind": "imported", "source": "bench", "path": "bench", "group_id": "g"}
    arrays = [
        columns.get(field.name, pa.array([constant.get(field.name)] * n, field.type)).cast(field.type) for field in SFT
    ]
    return pa.Table.from_arrays(arrays, schema=SFT)


def _planted(rng: np.random.Generator, vocabulary: np.ndarray, text: str) -> dict[str, str]:
    """Return the text hidden in other text in several ways."""
    before, after = (_text(rng, vocabulary, 20) for _ in range(2))
    tokens = text.split()
    made = {"verbatim": text, "first half": " ".join(tokens[: len(tokens) // 2])}
    for every in EDIT_EVERY:
        made[f"a word inserted every {every}"] = " ".join(
            token + (f" new{i}" if i % every == every - 1 else "") for i, token in enumerate(tokens)
        )
        made[f"a word exchanged every {every}"] = " ".join(
            f"new{i}" if i % every == every - 1 else token for i, token in enumerate(tokens)
        )
    return {name: f"{before} {leak} {after}" for name, leak in made.items()}


def _recall(rng: np.random.Generator, vocabulary: np.ndarray, benchmark: list[str], path: Path) -> list[dict[str, Any]]:
    """Return, per kind of leak, the share of planted rows that each method finds, and false alarms on the rest."""
    chosen = [text for text in benchmark if len(text.split()) >= 26][:N_PLANTED]
    leaks: dict[str, list[str]] = {}
    for text in chosen:
        for name, leak in _planted(rng, vocabulary, text).items():
            leaks.setdefault(name, []).append(leak)
    leaks["nothing planted"] = [_text(rng, vocabulary, 2 * PROMPT_WORDS) for _ in range(20 * N_PLANTED)]
    found = []
    for name, prompts in leaks.items():
        table = _dataset(["unrelated test prompt", *prompts], ["yes"] * (len(prompts) + 1))
        row: dict[str, Any] = {"planted": name, "n": len(prompts)}
        for method, values in METHODS.items():
            settings = DecontaminationSettings(benchmark_paths=(str(path),), max_drop_fraction=1, **values)
            row[method] = (table.num_rows - decontaminate(table, settings).kept.num_rows) / len(prompts)
        found.append(row)
    return found


def _speed(rng: np.random.Generator, vocabulary: np.ndarray, path: Path, n: int, repeats: int) -> dict[str, Any]:
    """Return the CPU seconds of a whole call over `n` rows, with the benchmark's index on disk and a test split."""
    prompts = [_text(rng, vocabulary, PROMPT_WORDS) for _ in range(n)]
    answers = [_text(rng, vocabulary, ANSWER_WORDS) for _ in range(n)]
    table = _dataset(prompts, answers, n_test=n // 20)
    n_bytes = sum(map(len, prompts)) + sum(map(len, answers))
    del prompts, answers
    settings = DecontaminationSettings(benchmark_paths=(str(path),), max_drop_fraction=1)
    cache = path.parent / "indexes"
    first, _ = _timed(lambda: decontaminate(table.slice(0, 100), settings, cache))
    pa.default_memory_pool().release_unused()
    with PeakMemory() as peak:
        seconds = [_timed(lambda: decontaminate(table, settings, cache))[0] for _ in range(repeats)]
    return {
        "n_rows": n,
        "bytes_per_row": round(n_bytes / n),
        "cpu_s": round(median(seconds), 3),
        "rows_per_cpu_s": round(n / median(seconds)),
        "mb_per_cpu_s": round(n_bytes / 1e6 / median(seconds), 1),
        "first_call_cpu_s": round(first, 3),
        "peak_over_input_mib": round(peak.anonymous_mib - peak.before_mib),
    }


def _timed(call: Callable[[], Any]) -> tuple[float, Any]:
    before = time.process_time()
    result = call()
    return time.process_time() - before, result


def _machine() -> dict[str, Any]:
    cpu = Path("/proc/cpuinfo")
    flags = cpu.read_text().split("flags", 1)[-1].split("\n", 1)[0] if cpu.is_file() else ""
    return {
        "cores": os.cpu_count(),
        "architecture": platform.machine(),
        "flags": sorted(set(flags.split()) & {"avx2", "avx512f", "avx512bw", "avx512_bf16"}),
        "python": platform.python_version(),
    }


def _page(record: dict[str, Any]) -> str:
    machine = record["machine"]
    lines = [
        "# Decontamination",
        "",
        f"Machine: {machine['cores']} cores ({machine['architecture']}, {', '.join(machine['flags'])}), Python "
        f"{machine['python']}. {record['n_benchmark_texts']:,} benchmark texts of about {PROMPT_WORDS} words. Made by "
        "`python -m benchmarks.decontamination`.",
        "",
        "Share of planted rows that are found (the last line: false alarms):",
        "",
        "| planted in a longer prompt | rows | " + " | ".join(METHODS) + " |",
        "|---|---|" + "---|" * len(METHODS),
    ]
    lines += [
        f"| {row['planted']} | {row['n']:,} | " + " | ".join(f"{row[m]:.4f}" for m in METHODS) + " |"
        for row in record["recall"]
    ]
    lines += [
        "",
        "Speed of one call (test split of 5 % indexed in memory, benchmark from disk, both methods), CPU seconds:",
        "",
        "| rows | bytes a row | CPU s | rows / CPU-s | MB / CPU-s | MiB of memory over the input |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['n_rows']:,} | {row['bytes_per_row']:,} | {row['cpu_s']} | {row['rows_per_cpu_s']:,} | "
        f"{row['mb_per_cpu_s']} | {row['peak_over_input_mib']:,} |"
        for row in record["speed"]
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
