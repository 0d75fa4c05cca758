"""The rows that an lm-eval task evaluates: local files, or a data set of the Hub."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from steps.errors import InputError

#: Names that the `datasets` library gives its readers of local files.
_READERS = {"json", "csv", "parquet", "text"}


def local_files(settings: Mapping[str, Any], split: str, sources: Sequence[Path]) -> list[Path]:
    """Return the files of a task's split; empty where its data set lies on the Hub.

    Relative paths are relative to the working directory, as lm-eval reads them, or else to a file of the task.

    Raises:
        InputError: if the task names no file, or one that does not exist.
    """
    if settings.get("dataset_path") not in _READERS:
        return []
    named = (settings.get("dataset_kwargs") or {}).get("data_files")
    if isinstance(named, dict):
        named = named.get(split)
    patterns = [named] if isinstance(named, str) else list(named or [])
    if not patterns:
        raise InputError(f"{sources[0]}: dataset_kwargs.data_files names no file of the split {split}")
    files = [file for pattern in patterns for file in _matching(str(pattern), sources)]
    if not files:
        raise InputError(f"{sources[0]}: dataset_kwargs.data_files: {', '.join(map(str, patterns))} does not exist")
    return files


def _matching(pattern: str, sources: Sequence[Path]) -> list[Path]:
    for folder in (Path.cwd(), *(source.parent for source in sources)):
        path = folder / pattern
        found = [path] if path.is_file() else sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
        if found:
            return [file for file in found if file.is_file()]
    return []


def file_rows(files: Sequence[Path], settings: Mapping[str, Any], split: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of local files.

    Raises:
        InputError: if a file is not what the task says.
    """
    reader, field = settings["dataset_path"], (settings.get("dataset_kwargs") or {}).get("field")
    for file in files:
        try:
            yield from _rows_of(file, reader, field)
        except (ValueError, UnicodeDecodeError, KeyError, OSError) as error:
            raise InputError(
                f"{file} cannot be read as {reader} ({error}); it holds the split {split} of a task"
            ) from (error)


def _rows_of(file: Path, reader: str, field: str | None) -> Iterator[dict[str, Any]]:
    if reader == "parquet":
        import pyarrow.parquet as pq

        yield from pq.read_table(file).to_pylist()
        return
    text = file.read_text(encoding="utf-8-sig")
    if reader == "csv":
        yield from csv.DictReader(text.splitlines(keepends=True))
    elif reader == "text":
        yield from ({"text": line} for line in text.splitlines())
    elif field is not None or text.lstrip().startswith("["):
        value = json.loads(text)
        yield from value[field] if field is not None else value
    else:
        yield from (json.loads(line) for line in text.splitlines() if line.strip())


def hub_rows(settings: Mapping[str, Any], split: str, task: str) -> Any:
    """Return the split of a Hub data set, through the `datasets` library and its cache.

    Raises:
        InputError: if it cannot be had.
    """
    from datasets import load_dataset

    path, name = settings.get("dataset_path"), settings.get("dataset_name")
    try:
        return load_dataset(path, name, split=split, **(settings.get("dataset_kwargs") or {}))
    except Exception as error:
        raise InputError(
            f"curation.decontaminate.lm_eval_tasks: task {task} evaluates {path} ({name or 'default'}, split {split}), "
            f"which cannot be loaded from the Hub ({type(error).__name__}: {error}). Download it where the Hub can be "
            "reached, or name its files under curation.decontaminate.benchmark_paths"
        ) from None
