"""Measures the semantic join, its options and peers, the encoder's precisions and the embedding cache.

    python -m benchmarks.semantic [--sizes 20000 50000 100000] [--peers-python PATH]

Every measurement runs in a process of its own on one thread; CPU seconds (user and system) count, not the clock. The
peer semhash is measured when `--peers-python` names an interpreter that has it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.embedded_texts import prompts, vectors_like
from benchmarks.records import write
from benchmarks.semantic_joins import JOINS

THRESHOLD = 0.9
FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
#: Prompts that are embedded, for the spectrum of the vectors and for the encoder's table.
N_TEXTS = 2000
#: From this many rows on each join is measured once, below it three times; slow ones are measured once.
ONCE_FROM = 50_000
#: What all others are compared with; and the join as the stage runs it, measured before the others and again with them.
WHOLE, STAGE = "blocked product", "projection bound, greedy"
SLOW = ("scikit-learn brute", "semhash")


def main() -> None:
    """Run all measurements and write `benchmarks/results/semantic.{json,md}`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[20_000, 50_000, 100_000])
    parser.add_argument("--peers-python", help="interpreter that has semhash")
    parser.add_argument("--slow-up-to", type=int, default=100_000, help="most rows of scikit-learn and semhash")
    parser.add_argument("--embed", nargs=2, type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.embed:
        print(json.dumps(_embed(*chosen.embed)))
        return
    with tempfile.TemporaryDirectory() as folder:
        for record in _measure(Path(folder), chosen.sizes, chosen.peers_python, chosen.slow_up_to):
            _write(record)
    sys.stdout.write(_page(record))


def _write(record: dict[str, Any]) -> None:
    write("semantic", record, _page(record))


def _measure(folder: Path, sizes: list[int], peers_python: str | None, slow_up_to: int) -> Iterator[dict[str, Any]]:
    """Yield the record after each size, so that a run cut short is of use."""
    base = folder / "base.npy"
    encoder = _spawn(sys.executable, "benchmarks.semantic", "--embed", str(base), str(folder / "cache"))
    for n in sizes:
        np.save(folder / f"{n}.npy", vectors_like(np.load(base), n))
    pythons = dict.fromkeys(JOINS, sys.executable) | ({"semhash": peers_python} if peers_python else {})
    joins: list[dict[str, Any]] = []
    for n in sizes:
        measured = _joins(folder, n, pythons, slow=n <= slow_up_to)
        whole = next(row["cpu_s"] for row in measured if row["join"] == WHOLE)
        joins += [{"n": n, **row, "against_whole": round(row["cpu_s"] / whole, 3)} for row in measured]
        yield {"machine": _machine(), "threshold": THRESHOLD, "encoder": encoder, "joins": joins}


def _joins(folder: Path, n: int, pythons: dict[str, str], slow: bool) -> list[dict[str, Any]]:
    """Measure all joins of one size one after the other, some times over; the stage's own both first and last."""
    quick = [STAGE, *(name for name in pythons if name not in SLOW)]
    runs: dict[str, list[dict[str, Any]]] = {}
    found: dict[str, Any] = {}
    for name in quick * (1 if n >= ONCE_FROM else 3) + [name for name in pythons if name in SLOW and slow]:
        run = _spawn(
            pythons[name], "benchmarks.semantic_joins", name, str(folder / f"{n}.npy"), str(folder / "pairs.npy")
        )
        runs.setdefault(name, []).append(run)
        found[name] = np.load(folder / "pairs.npy")
        print(json.dumps({"n": n, "join": name, **run}), file=sys.stderr, flush=True)
    return [
        {
            **runs[name][-1],
            "join": name,
            "cpu_s": round(statistics.median(run["cpu_s"] for run in runs[name]), 2),
            "runs_cpu_s": [round(run["cpu_s"], 2) for run in runs[name]],
            "recall": round(float(np.isin(found[WHOLE], found[name]).mean()), 4)
            if runs[name][-1]["kind"] == "pairs"
            else None,
        }
        for name in pythons
        if name in runs
    ]


def _spawn(python: str, *arguments: str) -> dict[str, Any]:
    """Run a child on one thread."""
    environment = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    command = [python, "-m", *arguments]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    last: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return last


def _embed(base: Path, folder: Path) -> dict[str, Any]:
    """Embed prompts in both precisions, in padded batches, into a cache and from it."""
    from steps.dedup.embedding import EncoderSettings, _native_precision, embed, load_encoder
    from steps.dedup.embedding_cache import EmbeddingCache

    texts, sample = prompts(N_TEXTS), prompts(400, seed=1)
    record: dict[str, Any] = {"texts": len(sample), "native": _native_precision("cpu")}
    vectors = {}
    for precision in ("float32", "bfloat16"):
        settings = EncoderSettings(precision=precision)  # type: ignore[arg-type]
        embed(sample[:8], settings)
        cpu, vectors[precision] = _timed(lambda settings=settings: embed(sample, settings))
        record[precision] = {"texts_per_cpu_s": round(len(sample) / cpu, 1)}
    unit = [v / np.linalg.norm(v, axis=1, keepdims=True) for v in (vectors["float32"], vectors["bfloat16"])]
    errors = np.abs(unit[0] @ unit[0].T - unit[1] @ unit[1].T)
    record["bfloat16"] |= {"mean_error": round(float(errors.mean()), 5), "max_error": round(float(errors.max()), 5)}
    settings = EncoderSettings(precision="float32")
    model = load_encoder(settings.model, "float32").model
    model.max_seq_length = settings.max_length_tokens
    cpu, padded = _timed(lambda: model.encode(sample, batch_size=32, show_progress_bar=False))
    record["padded"] = {"texts_per_cpu_s": round(len(sample) / cpu, 1)}
    record["padded"]["share_of_values_equal"] = round(float(np.mean(padded == vectors["float32"])), 3)
    cache = EmbeddingCache(folder)
    first, made = _timed(lambda: embed(texts, settings, cache))
    again, read = _timed(lambda: embed(texts, settings, cache))
    grown, _ = _timed(lambda: embed([*texts, *prompts(100, seed=2)], settings, cache))
    record["cache"] = {
        "texts": len(texts),
        "first_cpu_s": round(first, 2),
        "again_cpu_s": round(again, 3),
        "with_100_new_cpu_s": round(grown, 2),
        "bit_identical": made.tobytes() == read.tobytes(),
        "bytes_per_distinct_text": round(
            sum(path.stat().st_size for path in folder.rglob("*.arrow")) / len({*texts, *prompts(100, seed=2)})
        ),
    }
    np.save(base, made)
    return record


def _timed(work: Any) -> tuple[float, Any]:
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def _machine() -> dict[str, Any]:
    flags: set[str] = set()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        flags = {word for line in info.read_text().splitlines() if line.startswith("flags") for word in line.split()}
    return {
        "cores": os.cpu_count(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "flags": [flag for flag in FLAGS if flag in flags],
    }


def _page(record: dict[str, Any]) -> str:
    machine, encoder = record["machine"], record["encoder"]
    lines = [
        "# Semantic deduplication",
        "",
        f"Machine: {machine['cores']} cores ({machine['architecture']}; {', '.join(machine['flags'])}), Python "
        f"{machine['python']}, one thread. CPU seconds: the median of three runs, of the slow ones and from "
        f"{ONCE_FROM:,} rows on of one. The joins of a size run one after the other; the greedy one, which is what the "
        "stage runs, twice in each round, first and among the others, so that a changing load favours nobody. "
        "Made by `python -m benchmarks.semantic`.",
        "",
        f"## Joins at a cosine of {record['threshold']}",
        "",
        "Vectors of 384 dimensions with the covariance of the bundled model's embeddings of generated prompts. Recall "
        "is the share of the pairs of the blocked product.",
        "",
        "| rows | join | CPU s | against the blocked product | found | recall |",
        "|---|---|---|---|---|---|",
    ]
    for row in record["joins"]:
        recall = "" if row["recall"] is None else f"{row['recall']:.4f}"
        lines.append(
            f"| {row['n']:,} | {row['join']} | {row['cpu_s']:.1f} | {row['against_whole']:.2f} | "
            f"{row['found']:,} {row['kind']} | {recall} |"
        )
    cache = encoder["cache"]
    largest = max(row["n"] for row in record["joins"])
    paired = next(row for row in record["joins"] if row["n"] == largest and row["join"] == STAGE)
    lines += [
        "",
        f"At {largest:,} rows the blocked product alone takes {1 / paired['against_whole']:.1f} times the CPU seconds "
        "of the whole selection as the stage runs it, in the same round.",
        "",
        "## Embeddings",
        "",
        f"`precision: auto` takes {encoder['native']} on this machine.",
        "",
        "| how | texts per CPU s | against float32 |",
        "|---|---|---|",
        f"| float32, batches of one length | {encoder['float32']['texts_per_cpu_s']} | |",
        f"| float32, padded batches | {encoder['padded']['texts_per_cpu_s']} | "
        f"{encoder['padded']['share_of_values_equal']:.1%} of the values equal to the bit |",
        f"| bfloat16{'' if encoder['native'] == 'bfloat16' else ' (emulated here)'} | "
        f"{encoder['bfloat16']['texts_per_cpu_s']} | error of a cosine {encoder['bfloat16']['mean_error']} on average, "
        f"{encoder['bfloat16']['max_error']} at most |",
        "",
        f"The cache: {cache['texts']:,} texts took {cache['first_cpu_s']} CPU s, the same again "
        f"{cache['again_cpu_s']}, with 100 new ones {cache['with_100_new_cpu_s']}; "
        f"{cache['bytes_per_distinct_text']:,} bytes a text; vectors "
        f"{'equal to the bit' if cache['bit_identical'] else 'DIFFER'}.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
