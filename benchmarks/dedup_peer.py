"""One near-duplicate search by a peer, in a process of its own; run by `benchmarks.dedup` with the peers' Python.

    python benchmarks/dedup_peer.py SYSTEM corpus.parquet labels.npz

Imports nothing of this project. Texts are Python strings before the clock starts. Writes a cluster label per row, and
prints CPU seconds (user + system) and memory as JSON.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("RAYON_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

THRESHOLD, NGRAM, PERMUTATIONS = 0.8, 5, 128
WORD = re.compile(r"\w+")


def grams(text: str) -> set[str]:
    """The shingles that all systems and the truth share: 5-grams of lower-cased words."""
    found = WORD.findall(text.lower())
    if len(found) < NGRAM:
        return {" ".join(found)} if found else set()
    return set(map(" ".join, zip(*(found[i:] for i in range(NGRAM)), strict=False)))


class Clusters:
    """Union-find: the peers leave clustering to their users, who close over pairs."""

    def __init__(self, n: int) -> None:
        self.parent = list(range(n))

    def find(self, x: int) -> int:
        while self.parent[x] != x:
            self.parent[x] = self.parent[self.parent[x]]
            x = self.parent[x]
        return x

    def union(self, a: int, b: int) -> None:
        a, b = self.find(a), self.find(b)
        if a != b:
            self.parent[max(a, b)] = min(a, b)

    def labels(self) -> list[int]:
        return [self.find(x) for x in range(len(self.parent))]


def datasketch(texts: list[str], tuned: bool) -> list[int]:
    """datasketch as its defaults are; or with 16 × 8 bands, xxHash and a check of the estimate."""
    from datasketch import MinHash, MinHashLSH

    options = {}
    if tuned:
        import xxhash

        options["hashfunc"] = xxhash.xxh32_intdigest
    lsh = MinHashLSH(threshold=THRESHOLD, num_perm=PERMUTATIONS, **({"params": (16, 8)} if tuned else {}))
    sets = [[gram.encode() for gram in grams(text)] for text in texts]
    signatures = MinHash.bulk(sets, num_perm=PERMUTATIONS, **options)
    worded = [bool(each) for each in sets]
    del sets
    for i, signature in enumerate(signatures):
        if worded[i]:
            lsh.insert(i, signature)
    clusters = Clusters(len(texts))
    for i, signature in enumerate(signatures):
        if worded[i]:
            for j in lsh.query(signature):
                if j > i and (not tuned or signature.jaccard(signatures[j]) >= THRESHOLD):
                    clusters.union(i, j)
    return clusters.labels()


def rensa(texts: list[str], checked: bool) -> list[int]:
    """rensa with 16 bands of 8, with or without a check of the estimate."""
    import rensa as library

    sets = [list(grams(text)) for text in texts]
    worded = [bool(each) for each in sets]
    signatures = library.RMinHash.from_token_sets(sets, num_perm=PERMUTATIONS, seed=42)
    del sets
    lsh = library.RMinHashLSH(threshold=THRESHOLD, num_perm=PERMUTATIONS, num_bands=16)
    lsh.insert_many(signatures, start_key=0)
    clusters = Clusters(len(texts))
    for i, found in enumerate(lsh.query_all(signatures)):
        if worded[i]:
            for j in found:
                if j > i and worded[j] and (not checked or signatures[i].jaccard(signatures[j]) >= THRESHOLD):
                    clusters.union(i, j)
    return clusters.labels()


SYSTEMS = {
    "datasketch": lambda texts: datasketch(texts, tuned=False),
    "datasketch_16x8_checked": lambda texts: datasketch(texts, tuned=True),
    "rensa_16": lambda texts: rensa(texts, checked=False),
    "rensa_16_checked": lambda texts: rensa(texts, checked=True),
}


def text_dedup(corpus: Path) -> tuple[list[int], float]:
    """text-dedup 0.4.0 is a command line: its labels, and the CPU seconds of its imports, which are taken off."""
    with tempfile.TemporaryDirectory() as folder:
        before = cpu_s()
        subprocess.run([sys.executable, "-c", "import text_dedup.minhash"], check=True, capture_output=True)
        imports = cpu_s() - before
        command = [sys.executable, "-m", "text_dedup.minhash", "--path", "parquet", "--data_files", str(corpus)]
        command += [
            "--split",
            "train",
            "--cache_dir",
            f"{folder}/cache",
            "--output",
            f"{folder}/out",
            "--column",
            "text",
        ]
        command += ["--threshold", str(THRESHOLD), "--ngram", str(NGRAM), "--num_proc", "1", "--min_length", "0"]
        command += ["--use_auth_token", "False", "--debug"]
        subprocess.run(command, check=True, capture_output=True, cwd=folder)
        reader = "import pickle, sys, json; uf = pickle.load(open(sys.argv[1], 'rb')); "
        reader += "print(json.dumps({str(k): v for k, v in dict(getattr(uf, 'parent', uf)).items()}))"
        done = subprocess.run(
            [sys.executable, "-c", reader, f"{folder}/out/uf.pkl"], check=True, capture_output=True, text=True
        )
        parent = {int(key): int(value) for key, value in json.loads(done.stdout).items()}
    clusters = Clusters(pq.read_metadata(corpus).num_rows)
    for row, other in parent.items():
        clusters.union(row, other)
    return clusters.labels(), imports


def cpu_s() -> float:
    """CPU seconds, user and system, of this process and its ended children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def resident_kib(field: str) -> int:
    """`VmRSS` or `VmHWM` of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field))


def forget_peak() -> None:
    """Give free memory back and let `VmHWM` begin again, where the system allows it."""
    with contextlib.suppress(OSError, AttributeError):
        pa.default_memory_pool().release_unused()
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")


def main() -> None:
    system, corpus, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    texts = [] if system == "text_dedup" else pq.read_table(corpus, columns=["text"])["text"].to_pylist()
    forget_peak()
    base, began, wall = resident_kib("VmRSS"), cpu_s(), time.perf_counter()
    imports = 0.0
    if system == "text_dedup":
        labels, imports = text_dedup(corpus)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    else:
        labels = SYSTEMS[system](texts)
        peak = resident_kib("VmHWM")
    figures = {"cpu_s": cpu_s() - began - imports, "wall_s": time.perf_counter() - wall}
    np.savez(out, labels=np.array(labels, np.int64))
    print(json.dumps({**figures, "over_input_kib": peak - base}))


if __name__ == "__main__":
    main()
