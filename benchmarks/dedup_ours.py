"""One near-duplicate search by the engine, in a process of its own; run by `benchmarks.dedup`.

    python -m benchmarks.dedup_ours minhash corpus.parquet labels.npz

The texts are an Arrow column before the clock starts; the compiled code is loaded by a search over 100 rows, whose
time is printed apart as `first_call_s`.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from benchmarks.dedup_peer import cpu_s, forget_peak, resident_kib
from steps.dedup.documents import Documents
from steps.dedup.minhash import MinHashSettings, near_duplicates


def main() -> None:
    method, corpus, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    settings = MinHashSettings.model_validate({"key": "answer", "method": method, "threads": 1})
    column = pq.read_table(corpus, columns=["text"])["text"]
    began = cpu_s()
    near_duplicates(Documents(column.slice(0, 100)), settings)
    first = cpu_s() - began
    forget_peak()
    base, began, wall = resident_kib("VmRSS"), cpu_s(), time.perf_counter()
    found = near_duplicates(Documents(column), settings).duplicates
    figures = {"cpu_s": cpu_s() - began, "wall_s": time.perf_counter() - wall, "first_call_s": first}
    over = resident_kib("VmHWM") - base
    labels = np.arange(len(column))
    for match in found:
        labels[match.row] = match.other
    np.savez(out, labels=labels)
    print(json.dumps({**figures, "over_input_kib": over}))


if __name__ == "__main__":
    main()
