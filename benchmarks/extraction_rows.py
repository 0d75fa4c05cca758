"""Measures how fast rows of data sets become examples: by columns, and one by one as rows that need it are.

    TUNESMITH_DATA=/path/to/data python -m benchmarks.extraction_rows      # about two minutes

Both ways read the same files in the same run and have to give the same tables. Times are CPU seconds, user and system,
of one thread; the median of `REPEATS`, behind one run that warms up.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

from benchmarks.records import write
from steps.extraction import columnar
from steps.extraction.extract import Extraction, extract
from steps.extraction.sources import ExtractionSettings, Sources

REPEATS = 3
#: Rows of the generated file, about 190 bytes each, and of the part that is read one by one for comparison.
N_ROWS, N_COMPARED = 1_000_000, 100_000
REAL = {
    "gsm8k": {"path": "gsm8k-train/train.jsonl", "columns": {"question": "instruction", "answer": "output"}},
    "gpteacher": {"path": "gpteacher", "columns": {"response": "output"}},
    "oasst (preferences)": {"path": "oasst-en100/en_100_tree.jsonl", "type": "preferences"},
}


def main() -> None:
    """Measure, and write `benchmarks/results/extraction_rows.{json,md}`."""
    root = Path(os.environ["TUNESMITH_DATA"])
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "rows.jsonl")
        _generate(file)
        sets: dict[str, dict[str, Any]] = {
            "generated": {"path": str(file), "limit": N_COMPARED},
            **{name: {**settings, "path": str(root / str(settings["path"]))} for name, settings in REAL.items()},
        }
        rows = [_compared(name, settings) for name, settings in sets.items()]
        before_mb = _peak_mb()
        n, seconds, _ = _measured({"path": str(file)}, by_columns=True, repeats=1)
        whole = {"rows": n, "cpu_s": seconds, "file_mb": file.stat().st_size / 1e6, "peak_mb": _peak_mb()}
    record = {
        "machine": {"cores": os.cpu_count(), "architecture": platform.machine(), "python": platform.python_version()},
        "sets": rows,
        "whole": {**whole, "peak_before_mb": before_mb},
    }
    page = _page(record)
    write("extraction_rows", record, page)
    sys.stdout.write(page)


def _generate(file: Path) -> None:
    with file.open("w", encoding="utf-8") as stream:
        for n in range(N_ROWS):
            given = "" if n % 3 else f"Use base {n % 16}."
            answer = f"The answer is {n + n % 97}, as adding {n % 97} to {n} shows."
            row = {"instruction": f"Question {n}: what is {n} plus {n % 97}?", "input": given, "output": answer}
            stream.write(json.dumps(row) + "\n")


def _compared(name: str, settings: dict[str, Any]) -> dict[str, Any]:
    n, by_columns, found = _measured(settings, by_columns=True)
    _, one_by_one, same = _measured(settings, by_columns=False)
    if not all(ours.equals(theirs) for ours, theirs in zip(found, same, strict=True)):
        raise SystemExit(f"{name}: the two ways differ")
    return {"set": name, "rows": n, "by_columns": n / by_columns, "one_by_one": n / one_by_one}


def _measured(settings: dict[str, Any], *, by_columns: bool, repeats: int = REPEATS) -> tuple[int, float, Extraction]:
    sources = Sources.model_validate({"sources": [{"type": "dataset", "name": "rows", **settings}]})
    times = []
    with (
        patch.object(columnar, "convert", columnar.convert if by_columns else lambda block, source: None),
        patch.object(columnar, "is_for", columnar.is_for if by_columns else lambda source: False),
    ):
        for _ in range(repeats + (repeats > 1)):
            start = time.process_time()
            found = extract(sources, ExtractionSettings(max_drop_fraction=1))
            times.append(time.process_time() - start)
    return found.ledger.num_rows, median(times[1:] or times), found


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def _page(record: dict[str, Any]) -> str:
    machine, whole = record["machine"], record["whole"]
    lines = [
        "# Rows of data sets",
        "",
        f"{machine['cores']} cores ({machine['architecture']}), Python {machine['python']}; rows per CPU-second, "
        f"median of {REPEATS}. Both ways give the same tables.",
        "",
        "| data set | rows | by columns | one by one | ratio |",
        "| --- | --- | --- | --- | --- |",
    ]
    for row in record["sets"]:
        ratio = row["by_columns"] / row["one_by_one"]
        lines.append(
            f"| {row['set']} | {row['rows']:,} | {row['by_columns']:,.0f} | {row['one_by_one']:,.0f} | {ratio:.1f} |"
        )
    lines += [
        "",
        f"The whole generated file of {whole['rows']:,} rows ({whole['file_mb']:.0f} MB) takes {whole['cpu_s']:.1f} "
        f"CPU seconds; the process peaks at {whole['peak_mb']:,.0f} MB ({whole['peak_before_mb']:,.0f} MB before).",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
