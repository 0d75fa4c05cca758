"""Near-duplicate search against its peers: the same rows, one run, a process for each, truth from all pairs.

    python -m benchmarks.dedup --peers-python .bench/bin/python          # the published tables
    python -m benchmarks.dedup --rows 10000 --growth --peers-python ...  # a short run, without growth

Writes `benchmarks/results/dedup.{json,md}`. CPU seconds are user + system and run from texts in memory to a cluster
for each row; the corpus is `benchmarks.corpus`, or `--input` names texts of one's own. The truth is every pair of rows
whose sets of word 5-grams have an exact Jaccard similarity of 0.8 or more.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from benchmarks import corpus
from benchmarks.machine import machine, sentence
from benchmarks.records import write
from steps.dedup.documents import Documents
from steps.dedup.oracle import VERIFIED, select, similar_pairs

PEER = Path(__file__).with_name("dedup_peer.py")
THRESHOLD = 0.8
OURS = {"minhash": "Tunesmith, MinHash 25×5, verified", "exact_join": "Tunesmith, exact prefix join"}
PEERS = {
    "datasketch": ("datasketch", "datasketch, its defaults (9×13)"),
    "datasketch_16x8_checked": ("datasketch", "datasketch 16×8, xxHash, estimate checked"),
    "rensa_16": ("rensa", "rensa 16×8, no check"),
    "rensa_16_checked": ("rensa", "rensa 16×8, estimate checked"),
    "text_dedup": ("text_dedup", "text-dedup, its defaults, no check"),
}
GROWTH = (50_000, 100_000, 200_000, 500_000, 1_000_000)

Labels = npt.NDArray[np.int64]


class Truth(NamedTuple):
    """All pairs that are alike, and the clusters of two ways to act on them.

    Attributes:
        pairs: Number of pairs.
        greedy: Cluster of each row when rows are dropped greedily, best first.
        closure: Cluster of each row when pairs are closed over.
    """

    pairs: int
    greedy: Labels
    closure: Labels


def truth_of(texts: pa.ChunkedArray) -> Truth:
    """Find all pairs exactly."""
    pairs = similar_pairs(Documents(texts), THRESHOLD, threads=os.cpu_count() or 1)
    n = len(texts)
    left, right = pairs["row"].to_numpy(), pairs["other"].to_numpy()
    _, closure = connected_components(coo_array((np.ones(len(left), np.uint8), (left, right)), shape=(n, n)))
    dropped = select(pairs.rename_columns(VERIFIED.names))
    greedy = np.arange(n)
    greedy[dropped["id"].to_numpy()] = dropped["other"].to_numpy()
    return Truth(pairs.num_rows, greedy, closure.astype(np.int64))


def agreement(found: Labels, truth: Labels) -> tuple[float, float]:
    """Return precision and recall of the pairs of rows that stand in one cluster."""
    both = np.unique(np.stack([found, truth]), axis=1, return_counts=True)[1]
    shared, ours, theirs = (
        int((counts * (counts - 1) // 2).sum())
        for counts in (both, *(np.unique(each, return_counts=True)[1] for each in (found, truth)))
    )
    return shared / ours if ours else 1.0, shared / theirs if theirs else 1.0


def removed(labels: Labels) -> int:
    """Return the rows that go when one of each cluster stays."""
    return len(labels) - len(np.unique(labels))


def measure(command: Sequence[str], path: Path, repeats: int) -> dict[str, Any] | None:
    """Run a system and return its figures, CPU as the median of all runs, with its labels; None if it fails."""
    runs = measured_runs(command, path, repeats)
    return None if runs is None else middle_of(runs)


def measured_runs(command: Sequence[str], path: Path, repeats: int) -> list[dict[str, Any]] | None:
    """Run a system some times and return each run's figures and labels; None if it fails."""
    runs = []
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "labels.npz"
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        for _ in range(repeats):
            done = subprocess.run(
                [*command, str(path), str(out)], capture_output=True, text=True, check=False, env=environment
            )
            if done.returncode:
                sys.stderr.write(f"{' '.join(command[-2:])} failed:\n{done.stderr[-2000:]}\n")
                return None
            runs.append({**json.loads(done.stdout.splitlines()[-1]), "labels": np.load(out)["labels"]})
    return runs


def middle_of(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the median of each figure, the CPU seconds of every run, and the labels, which all runs must share."""
    labels = runs[0]["labels"]
    if any(not np.array_equal(run["labels"], labels) for run in runs):
        raise SystemExit("two runs over the same rows found different clusters")
    middle = {key: statistics.median(run[key] for run in runs) for key in runs[0] if key != "labels"}
    return {**middle, "runs_cpu_s": [round(run["cpu_s"], 3) for run in runs], "labels": labels}


def compare(path: Path, peers_python: str | None, repeats: int, chosen: Sequence[str]) -> dict[str, Any]:
    """Measure all systems on one corpus; ours before and after the peers, so that a changing load favours nobody."""
    texts = pq.read_table(path, columns=["text"])["text"]
    n = len(texts)
    truth = truth_of(texts)
    runs, failed = run_all(path, peers_python, repeats, chosen)
    rows = []
    for name, found in runs.items():
        figures = middle_of(found)
        labels = figures.pop("labels")
        precision, recall = agreement(labels, truth.greedy if name in OURS else truth.closure)
        rows.append(
            {
                "system": name,
                "title": OURS[name] if name in OURS else PEERS[name][1],
                **figures,
                "docs_per_cpu_s": n / figures["cpu_s"],
                "precision": precision,
                "recall": recall,
                "removed": removed(labels),
                "over_input_kb_per_row": figures["over_input_kib"] * 1.024 / n,
            }
        )
        sys.stderr.write(f"{json.dumps(rows[-1])}\n")
    return {
        "rows": n,
        "mean_bytes": sum(map(len, (text.encode() for text in texts.slice(0, 10_000).to_pylist()))) / min(n, 10_000),
        "true_pairs": truth.pairs,
        "true_removed_greedily": removed(truth.greedy),
        "true_removed_by_closure": removed(truth.closure),
        "systems": rows,
        "not_measured": failed,
    }


def run_all(
    path: Path, peers_python: str | None, repeats: int, chosen: Sequence[str]
) -> tuple[dict[str, list[dict[str, Any]]], list[str]]:
    """Run ours, the peers, and ours again; return the runs of each system, and the titles of peers without any."""
    own = [name for name in OURS if name in chosen]
    peers = [name for name in PEERS if name in chosen and peers_python and _has(peers_python, PEERS[name][0])]
    failed = [PEERS[name][1] for name in PEERS if name in chosen and name not in peers]
    runs: dict[str, list[dict[str, Any]]] = {}
    for name in [*own, *peers, *(own if peers else [])]:
        ours = name in OURS
        base = [sys.executable, "-m", "benchmarks.dedup_ours"] if ours else [str(peers_python), str(PEER)]
        found = measured_runs([*base, name], path, repeats if ours else 1)
        if found is not None:
            runs.setdefault(name, []).extend(found)
        elif ours:
            raise SystemExit(f"{OURS[name]} failed")
        else:
            failed.append(PEERS[name][1])
    return runs, failed


def _has(python: str, module: str) -> bool:
    done = subprocess.run([python, "-c", f"import {module}"], capture_output=True, check=False)
    return done.returncode == 0


def growth(folder: Path, sizes: Sequence[int], repeats: int) -> dict[str, Any]:
    """Measure the engine at growing sizes of one corpus, and fit the exponent of its CPU time."""
    points = []
    for size in sizes:
        path = folder / f"{size}.parquet"
        if not path.exists():
            corpus.write(path, size)
        command = [sys.executable, "-m", "benchmarks.dedup_ours", "minhash"]
        found = measure(command, path, repeats if size <= 200_000 else 1)
        if found is None:
            raise SystemExit(f"the engine failed at {size} rows")
        labels = found.pop("labels")
        points.append(
            {
                "rows": size,
                "cpu_s": found["cpu_s"],
                "docs_per_cpu_s": size / found["cpu_s"],
                "over_input_kb_per_row": found["over_input_kib"] * 1.024 / size,
                "removed": removed(labels),
            }
        )
        sys.stderr.write(f"{json.dumps(points[-1])}\n")
    logs = np.log([[point["rows"], point["cpu_s"]] for point in points])
    exponent = float(np.polyfit(logs[:, 0], logs[:, 1], 1)[0]) if len(points) > 1 else math.nan
    return {"points": points, "exponent": exponent}


def first_call(path: Path) -> dict[str, float]:
    """Return the CPU seconds of a process's first search: compiling everything, and with the compiled code kept."""
    with tempfile.TemporaryDirectory() as cache, tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.dedup_ours", "minhash", str(path), f"{folder}/labels.npz"]
        environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
        seconds = []
        for _ in range(2):
            done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
            seconds.append(json.loads(done.stdout.splitlines()[-1])["first_call_s"])
    return {"compiling_cpu_s": seconds[0], "kept_cpu_s": seconds[1]}


def page(record: dict[str, Any]) -> str:
    """Write the tables."""
    compared = record["compared"]
    ours = next((each for each in compared["systems"] if each["system"] == "minhash"), None)
    lines = [
        "# Near-duplicate search",
        "",
        f"Machine: {sentence(record['machine'])}. Made by `python -m benchmarks.dedup`.",
        "",
        f"{compared['rows']:,} texts of {compared['mean_bytes']:,.0f} bytes on average ({record['corpus']}), one core "
        "each, from texts in memory to a cluster for each row. Truth: all pairs with an exact Jaccard similarity of "
        f"{THRESHOLD} or more over word 5-grams, {compared['true_pairs']:,} pairs; dropping greedily removes "
        f"{compared['true_removed_greedily']:,} rows, closing over pairs {compared['true_removed_by_closure']:,}. "
        "Precision and recall count pairs of rows in one cluster, against the greedy clusters for Tunesmith and "
        "against the closure for the peers, which close over pairs. Tunesmith's CPU seconds are the median of "
        f"{len(ours['runs_cpu_s']) if ours else 0} runs, half of them before the peers and half after; a peer's, of "
        "one run.",
        "",
        "| system | docs / CPU-s | Tunesmith is faster by | precision | recall | rows removed | KB a row over input |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in compared["systems"]:
        ratio = f"{ours['docs_per_cpu_s'] / row['docs_per_cpu_s']:.1f} ×" if ours else ""
        lines.append(
            f"| {row['title']} | {row['docs_per_cpu_s']:,.0f} | {ratio} | {row['precision']:.3f} | "
            f"{row['recall']:.4f} | {row['removed']:,} | {row['over_input_kb_per_row']:.2f} |"
        )
    if record["growth"]:
        lines += [
            "",
            f"Growth: CPU time grows with the {record['growth']['exponent']:.2f}th power of the rows.",
            "",
            "| rows | CPU s | docs / CPU-s | KB a row over the input | rows removed |",
            "|---|---|---|---|---|",
        ]
        lines += [
            f"| {point['rows']:,} | {point['cpu_s']:.2f} | {point['docs_per_cpu_s']:,.0f} | "
            f"{point['over_input_kb_per_row']:.2f} | {point['removed']:,} |"
            for point in record["growth"]["points"]
        ]
    first = record["first_call"]
    lines += [
        "",
        f"The first search of a process takes {first['kept_cpu_s']:.1f} CPU seconds more, and the first ever, which "
        f"compiles, {first['compiling_cpu_s']:.1f}; neither is part of the figures above.",
    ]
    if compared["not_measured"]:
        lines += [
            "",
            f"Not measured, since they are not installed or failed here: {'; '.join(compared['not_measured'])}.",
        ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run all and write `benchmarks/results/dedup.{json,md}`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", "--size", type=int, default=50_000)
    parser.add_argument("--input", type=Path, help="texts of one's own: Parquet or JSONL with a column `text`")
    parser.add_argument("--peers-python", help="Python of an environment with the peers; without it, ours alone")
    parser.add_argument("--systems", nargs="+", default=[*OURS, *PEERS], choices=[*OURS, *PEERS])
    parser.add_argument("--growth", type=int, nargs="*", default=list(GROWTH), help="sizes; none given skips it")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--data", type=Path, help="folder that keeps generated corpora between runs")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = chosen.data or Path(temporary)
        path = folder / (f"{chosen.rows}.parquet" if chosen.input is None else "input.parquet")
        if chosen.input is not None:
            folder.mkdir(parents=True, exist_ok=True)
            pq.write_table(corpus.read(chosen.input), path)
        elif not path.exists():
            corpus.write(path, chosen.rows)
        record = {
            "machine": machine(),
            "corpus": chosen.input.name if chosen.input else "`benchmarks.corpus`, seed 1",
            "compared": compare(path, chosen.peers_python, chosen.repeats, chosen.systems),
            "growth": growth(folder, chosen.growth, chosen.repeats) if chosen.growth else None,
            "first_call": first_call(path),
        }
    written = page(record)
    write("dedup", record, written)
    sys.stdout.write(written)


if __name__ == "__main__":
    main()
