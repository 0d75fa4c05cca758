"""One raw row, as it was found, to a document, an example or preferences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from steps.extraction.conversations import detect_format, to_messages
from steps.extraction.documents import read_text_row
from steps.extraction.preferences import to_preferences
from steps.extraction.reasons import ExtractDrop, UnusableError
from steps.extraction.row_blocks import RawRow
from steps.extraction.row_sources import DatasetSource, PreferenceSource
from steps.extraction.sql import SqlSource
from steps.extraction.text import repair
from steps.extraction.turns import Message
from steps.rows import content_id, messages_id


def document_or_example(raw: RawRow, source: DatasetSource | SqlSource) -> tuple[str, dict[str, Any]]:
    """Convert a row of a data set; return `document` or `example`, and its row.

    Raises:
        UnusableError: with the reason.
    """
    row = renamed(raw, source.columns)
    format_name = detect_format(row) if source.format == "auto" else source.format
    if format_name == "text" and source.text_as == "documents":
        return "document", _text_document(row, raw, source)
    return "example", _example(_repaired(to_messages(row, format_name)), raw, source, row)


def preferences_of(raw: RawRow, source: PreferenceSource) -> Iterator[dict[str, Any]]:
    """Convert a row of preferences; a tree of ranked replies has many.

    Raises:
        UnusableError: with the reason; nothing was yielded then.
    """
    for pair in list(to_preferences(renamed(raw, source.columns))):
        prompt, chosen, rejected = map(_repaired, (pair.prompt, pair.chosen, pair.rejected))
        origin = (source.name, raw.path, raw.row, pair.variant)
        yield {
            "id": content_id("preference", messages_id(prompt), messages_id(chosen), messages_id(rejected), *origin),
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


def document(text: str, source: str, path: str, **rest: Any) -> dict[str, Any]:
    """Return the row of a document; `shown_path` stands for `path` in the table, but not in the id."""
    shown_path = rest.pop("shown_path", path)
    row_id = content_id("document", source, path, text)
    return {"id": row_id, "text": text, "source": source, "path": shown_path, **rest}


def renamed(raw: RawRow, columns: Mapping[str, str]) -> dict[str, Any]:
    """Return the row with its columns renamed.

    Raises:
        UnusableError: if the row could not be parsed, is no object.
    """
    if isinstance(raw.value, UnusableError):
        raise raw.value
    if not isinstance(raw.value, Mapping):
        raise UnusableError(ExtractDrop.NOT_AN_OBJECT, f"found {type(raw.value).__name__}")
    row = dict(raw.value)
    new = {new: row.pop(old) for old, new in columns.items() if old in row}
    return row | new


def _text_document(row: Mapping[str, Any], raw: RawRow, source: DatasetSource | SqlSource) -> dict[str, Any]:
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
    return document(found.text, source.name, path, format=format_name, title=title or found.title, licence=licence)


def _example(
    messages: list[Message], raw: RawRow, source: DatasetSource | SqlSource, row: Mapping[str, Any]
) -> dict[str, Any]:
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


def _licence(row: Mapping[str, Any], source: DatasetSource | SqlSource) -> str | None:
    own = row.get("licence") or row.get("license")
    return own if isinstance(own, str) else source.licence


def _repaired(messages: list[Message]) -> list[Message]:
    return [{"role": message["role"], "content": repair(message["content"])} for message in messages]
