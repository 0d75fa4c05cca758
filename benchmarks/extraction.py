"""Compares the readers with gold outputs and with plain extraction, and measures their speed.

    TUNESMITH_DATA=/path/to/data python -m benchmarks.extraction      # about two minutes

Gold outputs are those of docling's tests (HTML, CSV, Markdown, AsciiDoc, WebVTT) and of markitdown's (PDF): made or
checked by their authors for their own converters, whose choices they share. Peers read the same files in the same run.
"""

from __future__ import annotations

import io
import logging
import os
import platform
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.extraction_scores import mean, scores
from benchmarks.records import write
from steps.extraction.documents import format_of_content, read_content
from steps.extraction.isolation import ReadLimits, read_files
from steps.extraction.reasons import UnusableError

FOLDERS = ("docs-docling-text", "docs-markitdown", "docs-zenml-projects", "pdf-pypdf", "blns")
METRICS = ("words", "order", "headings", "cells")
#: Times that each format is read for the speed; the median counts.
REPEATS = 3
#: Small files for the cost of isolation.
N_SMALL = 400


def main() -> None:
    """Measure, and write `benchmarks/results/extraction.{json,md}`."""
    root = Path(os.environ["TUNESMITH_DATA"])
    logging.disable(logging.WARNING)
    record = {
        "machine": {"cores": os.cpu_count(), "architecture": platform.machine(), "python": platform.python_version()},
        "gold": _compare(root),
        "speed": _speed(root),
        "isolation": _isolation(root),
    }
    page = _page(record)
    write("extraction", record, page)
    sys.stdout.write(page)


def _pairs(root: Path) -> Iterator[tuple[str, Path, Path]]:
    """Yield kind, file and gold file."""
    for kind in ("html", "csv", "md", "asciidoc", "webvtt"):
        for file in sorted((root / "docs-docling-text" / kind / "sources").iterdir()):
            gold = root / "docs-docling-text" / kind / "groundtruth" / f"{file.name}.md"
            if gold.exists():
                yield kind, file, gold
    for gold in sorted((root / "docs-markitdown" / "expected_outputs").glob("*.md")):
        file = root / "docs-markitdown" / f"{gold.stem}.pdf"
        if file.exists() and gold.stat().st_size:
            yield "pdf", file, gold


def _compare(root: Path) -> list[dict[str, Any]]:
    rows = []
    for kind, file, gold in _pairs(root):
        content, truth = file.read_bytes(), gold.read_text(encoding="utf-8")
        for system, read in _systems(kind).items():
            try:
                text, failed = read(content, file.name), None
            except UnusableError as error:
                text, failed = "", error.reason.value
            rows.append({"kind": kind, "file": file.name, "system": system, "failed": failed, **scores(text, truth)})
    return rows


def _systems(kind: str) -> dict[str, Callable[[bytes, str], str]]:
    ours: dict[str, Callable[[bytes, str], str]] = {
        "tunesmith": lambda content, name: read_content(content, name)[1].text
    }
    if kind == "html":
        return ours | {"trafilatura": _trafilatura, "all text (lxml)": _all_text}
    if kind == "pdf":
        return ours | {"pypdf": _pypdf, "pdfplumber": _pdfplumber}
    return ours | {"as it is": lambda content, name: content.decode("utf-8", "replace")}


def _trafilatura(content: bytes, name: str) -> str:
    from trafilatura import extract

    found = extract(
        content, output_format="markdown", include_comments=False, include_formatting=True, include_tables=True
    )
    return found or ""


def _all_text(content: bytes, name: str) -> str:
    from lxml import html

    return str(html.document_fromstring(content).text_content())


def _pypdf(content: bytes, name: str) -> str:
    from pypdf import PdfReader

    return "\n\n".join(page.extract_text() for page in PdfReader(io.BytesIO(content)).pages)


def _pdfplumber(content: bytes, name: str) -> str:
    import pdfplumber

    with pdfplumber.open(io.BytesIO(content)) as document:
        return "\n\n".join(page.extract_text() or "" for page in document.pages)


def _speed(root: Path) -> dict[str, Any]:
    """Return files and megabytes per CPU-second by format, and the same of the peers on the same files."""
    files: dict[str, list[tuple[bytes, str]]] = defaultdict(list)
    for folder in FOLDERS:
        for file in sorted(path for path in (root / folder).rglob("*") if path.is_file()):
            content = file.read_bytes()
            try:
                files[format_of_content(content, file.name)].append((content, file.name))
            except UnusableError:
                continue
    measured: dict[str, Any] = {}
    for name, contents in sorted(files.items()):
        readers: dict[str, Callable[[bytes, str], object]] = {"tunesmith": read_content}
        readers |= {"html": {"trafilatura": _trafilatura}, "pdf": {"pypdf": _pypdf, "pdfplumber": _pdfplumber}}.get(
            name, {}
        )
        for system, read in readers.items():
            _time(read, contents)  # imports, and what libraries cache
            cpu_s = median(_time(read, contents) for _ in range(REPEATS))
            n_bytes = sum(len(content) for content, _ in contents)
            measured[f"{name}, {system}"] = {
                "files": len(contents),
                "files_per_cpu_s": len(contents) / cpu_s,
                "mb_per_cpu_s": n_bytes / 1e6 / cpu_s,
            }
    return measured


def _time(read: Callable[[bytes, str], object], contents: list[tuple[bytes, str]]) -> float:
    start = time.process_time()
    for content, name in contents:
        try:
            read(content, name)
        except Exception:  # unusable for us, in whatever way for a peer
            continue
    return time.process_time() - start


def _isolation(root: Path) -> dict[str, float]:
    """Return milliseconds of wall-clock a small file, within the process and through one child that has started."""
    file = min((root / "docs-zenml-projects").rglob("*.md"), key=lambda path: path.stat().st_size)
    content = file.read_bytes()
    start = time.perf_counter()
    for _ in range(N_SMALL):
        read_content(content, file.name)
    inside = time.perf_counter() - start
    stream = read_files([file] * (N_SMALL + 1), ReadLimits(workers=1))
    start_of_child = time.perf_counter()
    next(stream)
    start = time.perf_counter()
    n = sum(1 for _ in stream)
    return {
        "in_process_ms": 1e3 * inside / N_SMALL,
        "in_child_ms": 1e3 * (time.perf_counter() - start) / n,
        "start_of_child_ms": 1e3 * (start - start_of_child),
    }


def _page(record: dict[str, Any]) -> str:
    machine = record["machine"]
    lines = [
        "# Extraction against gold outputs",
        "",
        f"{machine['cores']} cores, {machine['architecture']}, Python {machine['python']}. Written by "
        "`python -m benchmarks.extraction`.",
        "",
        "Means over the files of a kind: F1 of words, similarity of their order (matching blocks), F1 of headings,",
        "F1 of table cells. Each is 1 for a text equal to the gold output; `–` where it has none.",
        "",
        "| kind | files | reader | words | order | headings | table cells | gave nothing |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    groups: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in record["gold"]:
        groups[row["kind"], row["system"]].append(row)
    for (kind, system), rows in groups.items():
        means = " | ".join(_written(mean(row[metric] for row in rows)) for metric in METRICS)
        nothing = sum(row["failed"] is not None or row["words"] == 0 for row in rows)
        lines.append(f"| {kind} | {len(rows)} | {system} | {means} | {nothing} |")
    lines += ["", "## Each file, our reader", "", "| kind | file | words | order | headings | table cells |"]
    lines.append("| --- | --- | --- | --- | --- | --- |")
    for row in record["gold"]:
        if row["system"] == "tunesmith":
            lines.append(
                f"| {row['kind']} | {row['file']} | {' | '.join(_written(row[metric]) for metric in METRICS)} |"
            )
    lines += [
        "",
        "## Speed",
        "",
        "| format, reader | files | files / CPU-s | MB / CPU-s |",
        "| --- | --- | --- | --- |",
    ]
    lines += [
        f"| {name} | {row['files']} | {row['files_per_cpu_s']:,.1f} | {row['mb_per_cpu_s']:.2f} |"
        for name, row in record["speed"].items()
    ]
    cost = record["isolation"]
    lines += [
        "",
        f"A small Markdown file takes {cost['in_process_ms']:.2f} ms within the process and "
        f"{cost['in_child_ms']:.2f} ms through a child; a child starts within {cost['start_of_child_ms']:.0f} ms.",
        "",
    ]
    return "\n".join(lines)


def _written(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


if __name__ == "__main__":
    main()
