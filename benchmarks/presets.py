"""What each filter preset keeps of real data sets, and which rules drop the rest.

    python -m benchmarks.presets --data FOLDER

FOLDER holds the public data sets of `SETS`; one that is absent is left out of the table.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa

from benchmarks.filters import machine
from benchmarks.records import write
from steps.extraction.extract import extract
from steps.extraction.sources import ExtractionSettings, Sources
from steps.filtering.presets import PRESETS
from steps.filtering.rules import FilteringSettings, apply_filters
from steps.ledger import reasons
from steps.rows import EXAMPLES, messages_id, table

RENAMED = {"response": "output"}
SETS: dict[str, dict[str, Any]] = {
    "GPTeacher code": {"path": "gpteacher/Codegen", "format": "alpaca", "columns": RENAMED},
    "GPTeacher role play": {"path": "gpteacher/Roleplay", "format": "alpaca", "columns": RENAMED},
    "GSM8K": {"path": "gsm8k-train/train.jsonl", "columns": {"question": "instruction", "answer": "output"}},
    "OpenAssistant": {"path": "oasst-en100/en_100_tree.jsonl"},
}
#: A data set of a peer whose instructions lie nested in a file of its own shape.
HANDBOOK = ("LLM Engineer's Handbook", "llm-eng-handbook/artifacts/instruct_datasets.json")


def main() -> None:
    """Filter every set with every preset and write `benchmarks/results/presets.{json,md}`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    data = parser.parse_args().data
    sets = {name: _read(data, spec) for name, spec in SETS.items() if (data / spec["path"]).exists()}
    if (data / HANDBOOK[1]).is_file():
        sets[HANDBOOK[0]] = _read_handbook(data / HANDBOOK[1])
    record: dict[str, Any] = {"machine": machine(), "sets": {}}
    for name, rows in sets.items():
        record["sets"][name] = {"n_rows": rows.num_rows, "presets": {preset: _kept(rows, preset) for preset in PRESETS}}
    page = render(record)
    write("presets", record, page)
    sys.stdout.write(page)


def _read(data: Path, spec: dict[str, Any]) -> pa.Table:
    source = {"type": "dataset", "name": "set", **spec, "path": str(data / spec["path"])}
    return extract(Sources.model_validate({"sources": [source]}), ExtractionSettings(max_drop_fraction=1)).examples


def _read_handbook(path: Path) -> pa.Table:
    rows = []
    pairs = [
        (sample["instruction"], sample["answer"])
        for split in ("train", "test")
        for category in json.loads(path.read_text(encoding="utf-8")).get(split, {}).values()
        for sample in category["samples"]
    ]
    for number, (instruction, answer) in enumerate(pairs):
        messages = [{"role": "user", "content": instruction}, {"role": "assistant", "content": answer}]
        origin = {"kind": "imported", "source": "set", "path": path.name, "row": number, "group_id": str(number)}
        rows.append({"id": messages_id(messages, number), "messages": messages, **origin})
    return table(rows, EXAMPLES)


def _kept(rows: pa.Table, preset: str) -> dict[str, Any]:
    result = apply_filters(rows, FilteringSettings.model_validate({"preset": preset, "max_drop_fraction": 1}))
    return {"kept": result.kept.num_rows / rows.num_rows, "reasons": reasons(result.ledger)}


def render(record: dict[str, Any]) -> str:
    """Render the record as Markdown."""
    host = record["machine"]
    lines = [
        "# What the filter presets keep of real data",
        "",
        f"Machine: {host['cores']} cores ({host['architecture']}), Python {host['python']}. "
        "Made by `python -m benchmarks.presets`.",
        "",
        "| data set | rows | " + " | ".join(PRESETS) + " |",
        "|---|---|" + "---|" * len(PRESETS),
    ]
    for name, found in record["sets"].items():
        cells = " | ".join(f"{found['presets'][preset]['kept']:.2%}" for preset in PRESETS)
        lines.append(f"| {name} | {found['n_rows']:,} | {cells} |")
    lines += ["", "The most frequent reasons:", ""]
    for name, found in record["sets"].items():
        for preset, outcome in found["presets"].items():
            most = ", ".join(f"{reason} {n:,}" for reason, n in list(outcome["reasons"].items())[:4])
            if most:
                lines.append(f"- {name}, `{preset}`: {most}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
