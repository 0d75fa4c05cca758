"""Extraction: every file and every data set row becomes a document, an example, preferences, or a ledger row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import pyarrow as pa

from steps.extraction.conversations import detect_format, to_messages
from steps.extraction.documents import read_file, read_text_row
from steps.extraction.preferences import to_preferences
from steps.extraction.reasons import ExtractDrop, UnusableError
from steps.extraction.row_files import RawRow, rows_of_source
from steps.extraction.sources import (
    DatasetSource,
    DocumentSource,
    ExtractionSettings,
    PreferenceSource,
    Sources,
    files_of,
    name_of,
)
from steps.extraction.text import repair
from steps.extraction.turns import Message
from steps.ledger import Drops, check_books, check_drop_fraction, ledger_of
from steps.progress import track
from steps.rows import DOCUMENTS, EXAMPLES, PREFERENCES, content_id, messages_id, table

STAGE = "extract"


class Extraction(NamedTuple):
    """What was read: schemas `DOCUMENTS`, `EXAMPLES`, `PREFERENCES` and `LEDGER`."""

    documents: pa.Table
    examples: pa.Table
    preferences: pa.Table
    ledger: pa.Table


def extract(sources: Sources, settings: ExtractionSettings) -> Extraction:
    """Read all sources.

    Returns:
        The three tables, and one ledger row per file and per data set row. A kept one has the id of the row that
        was made of it; a tree of ranked replies is as many rows as it has ranked pairs. An unusable one has an id
        of its source and place, and a detail that begins with the place (`path` or `path:row`).

    Raises:
        InputError: if a Hub data set cannot be loaded.
        DropLimitError: if more than `max_drop_fraction` is unusable.
    """
    books = _Books()
    for source in sources.sources:
        if isinstance(source, DocumentSource):
            _read_documents(source, books)
        elif isinstance(source, PreferenceSource):
            _read_preferences(source, books)
        else:
            _read_dataset(source, books)
    return books.close(settings)


class _Books:
    """What has been read so far."""

    def __init__(self) -> None:
        self.documents: list[dict[str, Any]] = []
        self.examples: list[dict[str, Any]] = []
        self.preferences: list[dict[str, Any]] = []
        self.drops = Drops(STAGE)

    def drop(self, source: str, path: str, row: int | None, error: UnusableError, line: int | None = None) -> None:
        place = path if row is None else f"{path}:{row}"
        said = ": ".join(part for part in (f"line {line}" if line else "", repair(error.detail)) if part)
        self.drops.add(
            content_id("unusable", source, path, row), error.reason, detail=f"{place} ({said})" if said else place
        )

    def close(self, settings: ExtractionSettings) -> Extraction:
        documents = table(self.documents, DOCUMENTS)
        examples = table(self.examples, EXAMPLES)
        preferences = table(self.preferences, PREFERENCES)
        dropped = self.drops.table()
        made = [*documents["id"].to_pylist(), *examples["id"].to_pylist(), *preferences["id"].to_pylist()]
        ids = pa.array([*made, *dropped["row_id"].to_pylist()], pa.string())
        ledger = ledger_of(STAGE, ids, dropped)
        check_books(STAGE, len(ids), len(made), ledger)
        check_drop_fraction(ledger, settings.max_drop_fraction)
        return Extraction(documents, examples, preferences, ledger)


def _read_documents(source: DocumentSource, books: _Books) -> None:
    for file in track(files_of(source), f"extract {source.name}"):
        path = name_of(source, file)
        try:
            format_name, found = read_file(file, source.max_file_mb)
        except UnusableError as error:
            books.drop(source.name, path, None, error)
            continue
        books.documents.append(
            _document(found.text, source.name, path, format=format_name, title=found.title, licence=source.licence)
        )


def _read_dataset(source: DatasetSource, books: _Books) -> None:
    for raw in track(rows_of_source(source), f"extract {source.name}"):
        try:
            row = _columns(raw, source.columns)
            format_name = detect_format(row) if source.format == "auto" else source.format
            if format_name == "text" and source.text_as == "documents":
                books.documents.append(_text_document(row, raw, source))
            else:
                messages = _repaired(to_messages(row, format_name))
                books.examples.append(_example(messages, raw, source, row))
        except UnusableError as error:
            books.drop(source.name, raw.path, raw.row, error, raw.line)


def _read_preferences(source: PreferenceSource, books: _Books) -> None:
    for raw in track(rows_of_source(source), f"extract {source.name}"):
        try:
            row = _columns(raw, source.columns)
            found = list(to_preferences(row))
        except UnusableError as error:
            books.drop(source.name, raw.path, raw.row, error, raw.line)
            continue
        for pair in found:
            prompt, chosen, rejected = map(_repaired, (pair.prompt, pair.chosen, pair.rejected))
            origin = (source.name, raw.path, raw.row, pair.variant)
            books.preferences.append(
                {
                    "id": content_id(
                        "preference", messages_id(prompt), messages_id(chosen), messages_id(rejected), *origin
                    ),
                    "prompt": prompt,
                    "chosen": chosen,
                    "rejected": rejected,
                    "ranker": source.ranker,
                    "source": source.name,
                    "path": raw.path,
                    "row": raw.row,
                    "chosen_score": pair.chosen_score,
                    "rejected_score": pair.rejected_score,
                }
            )


def _columns(raw: RawRow, columns: Mapping[str, str]) -> dict[str, Any]:
    """Return the row with its columns renamed.

    Raises:
        UnusableError: if the row could not be parsed, is no object.
    """
    if isinstance(raw.value, UnusableError):
        raise raw.value
    if not isinstance(raw.value, Mapping):
        raise UnusableError(ExtractDrop.NOT_AN_OBJECT, f"found {type(raw.value).__name__}")
    row = dict(raw.value)
    renamed = {new: row.pop(old) for old, new in columns.items() if old in row}
    return row | renamed


def _document(text: str, source: str, path: str, **rest: Any) -> dict[str, Any]:
    return {"id": content_id("document", source, path, text), "text": text, "source": source, "path": path, **rest}


def _text_document(row: Mapping[str, Any], raw: RawRow, source: DatasetSource) -> dict[str, Any]:
    """Make a document of a raw text row; its path is `file:row`, and the row's own path behind another colon."""
    text = row.get("text")
    if not isinstance(text, str):
        reason = ExtractDrop.MISSING_KEYS if text is None else ExtractDrop.WRONG_TYPE
        raise UnusableError(reason, f"text is {type(text).__name__}; found {', '.join(sorted(map(str, row))[:12])}")
    own_path = row.get("path") if isinstance(row.get("path"), str) else None
    format_name, found = read_text_row(text, own_path)
    path = f"{raw.place}:{own_path}" if own_path else raw.place
    title = row.get("title") if isinstance(row.get("title"), str) else None
    licence = _licence(row, source)
    return _document(found.text, source.name, path, format=format_name, title=title or found.title, licence=licence)


def _example(messages: list[Message], raw: RawRow, source: DatasetSource, row: Mapping[str, Any]) -> dict[str, Any]:
    row_id = messages_id(messages, source.name, raw.path, raw.row)
    return {
        "id": row_id,
        "messages": messages,
        "kind": "imported",
        "source": source.name,
        "path": raw.path,
        "row": raw.row,
        "group_id": row_id,
        "licence": _licence(row, source),
    }


def _licence(row: Mapping[str, Any], source: DatasetSource) -> str | None:
    own = row.get("licence") or row.get("license")
    return own if isinstance(own, str) else source.licence


def _repaired(messages: list[Message]) -> list[Message]:
    return [{"role": message["role"], "content": repair(message["content"])} for message in messages]
