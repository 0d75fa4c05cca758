"""The texts of benchmarks: JSONL, JSON and Parquet with any keys, plain text, lm-eval tasks; and their index."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from steps.errors import InputError
from steps.extraction.sources import hash_paths
from steps.splitting.decontamination_settings import DecontaminationSettings
from steps.splitting.lm_eval import Task, load_tasks
from steps.splitting.overlap import build_index
from steps.splitting.overlap_files import StoredIndex, load_or_build

#: Keys whose text says what kind of row it is, rather than what the model is asked.
_LABELS = {"role", "id", "task_id", "source", "subject", "category", "type", "split", "licence", "license"}
_LINES = {".jsonl", ".ndjson"}
_KEY = "curation.decontaminate.benchmark_paths"


def benchmark_index(settings: DecontaminationSettings, cache: Path | None = None) -> StoredIndex:
    """Return the index of all benchmarks, built once for their content.

    Args:
        settings: The benchmarks, the n-gram lengths and `index_dir`.
        cache: Folder of indexes where `index_dir` is null; None keeps the index in memory.

    Raises:
        InputError: if a benchmark cannot be read.
    """
    root = Path(settings.index_dir) if settings.index_dir is not None else cache
    tasks = load_tasks(settings.lm_eval_tasks)

    def build() -> StoredIndex:
        pairs = [*benchmark_texts(settings.benchmark_paths), *(pair for task in tasks for pair in task.texts())]
        evidence = pa.array([evidence for evidence, _ in pairs], pa.string())
        return build_index(evidence, pa.array([text for _, text in pairs], pa.large_string()), settings.ngram_sizes)

    if root is None or not (settings.benchmark_paths or tasks):
        return build()
    return load_or_build(root, _content(settings, tasks), settings.ngram_sizes, build)


def benchmark_files(settings: DecontaminationSettings) -> list[str]:
    """List the local files that the benchmarks consist of.

    Raises:
        InputError: if one does not exist, or an lm-eval task is not what it should be.
    """
    for name in settings.benchmark_paths:
        if not Path(name).is_file():
            raise InputError(
                f"{_KEY}: {name} does not exist; without it, training rows could repeat the benchmark unseen. Correct "
                "the path or remove it"
            )
    tasks = load_tasks(settings.lm_eval_tasks)
    return [*settings.benchmark_paths, *(str(file) for task in tasks for file in task.files())]


def _content(settings: DecontaminationSettings, tasks: Iterable[Task]) -> dict[str, str]:
    content = {name: hash_paths([name]) for name in settings.benchmark_paths}
    return content | {f"lm_eval:{task.name}": task.fingerprint() for task in tasks}


def benchmark_texts(paths: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield the evidence and each text of benchmark files: `file:line`, or `file:row N` of JSON and Parquet.

    Every string of a JSONL, JSON or Parquet row counts, also inside lists and objects, except labels such as `role`
    and `id`. Of other files every line counts.

    Raises:
        InputError: if a file is missing, is not UTF-8, or is not what its name says.
    """
    for name in paths:
        path = Path(name)
        if path.suffix == ".parquet":
            rows: Iterable[tuple[str, Any]] = _parquet_rows(path)
        elif path.suffix == ".json":
            rows = _json_rows(path)
        else:
            rows = _lines(path)
        for evidence, row in rows:
            yield from ((evidence, text) for text in strings(row))


def strings(value: Any) -> Iterator[str]:
    """Yield every string inside a value, except labels."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            if key not in _LABELS:
                yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)


def _lines(path: Path) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(_text_of(path).split("\n"), start=1):
        evidence = f"{path}:{number}"
        if line.strip():
            yield evidence, _parsed(line, evidence) if path.suffix in _LINES else line


def _json_rows(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield the rows of a JSON file: of its list, of the lists inside its object, or of an object per line."""
    text = _text_of(path)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        yield from ((f"{path}:{n}", _parsed(line, f"{path}:{n}")) for n, line in _numbered(text))
        return
    lists = list(value.items()) if isinstance(value, dict) else [("", value)]
    for key, rows in lists:
        place = f"{path}:{key} row" if key else f"{path}:row"
        yield from ((f"{place} {i}", row) for i, row in enumerate(rows if isinstance(rows, list) else [rows]))


def _numbered(text: str) -> Iterator[tuple[int, str]]:
    return ((number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip())


def _parquet_rows(path: Path) -> Iterator[tuple[str, Any]]:
    try:
        with pq.ParquetFile(path) as file:
            first = 0
            for batch in file.iter_batches():
                yield from ((f"{path}:row {first + i}", row) for i, row in enumerate(batch.to_pylist()))
                first += batch.num_rows
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(f"{_KEY} names {path}, which cannot be read as Parquet ({error}); correct the path") from error


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{_KEY} names {path}, which cannot be read as UTF-8 text ({error}); correct the path or convert the file"
        ) from error


def _parsed(line: str, evidence: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{evidence} is not JSON ({error}); a benchmark file named .jsonl holds one JSON value per line. Correct "
            "the line, or name the file .txt to compare its lines as text"
        ) from error
