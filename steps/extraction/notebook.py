"""Notebooks: Markdown cells as they are, code cells fenced, their text outputs below, bounded."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from steps.extraction.markdown import first_heading, split_front_matter
from steps.extraction.parts import assemble, fenced, markdown_table
from steps.extraction.reasons import ExtractDrop, UnusableError
from steps.extraction.text import Extracted

#: Characters of a cell's outputs that are kept: an output longer than a screen is a log.
MAX_OUTPUT_CHARACTERS = 2_000
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_PICTURE = re.compile(r"!\[[^\]]*\]\((?:data:|attachment:)[^)]*\)")


def read_notebook(content: bytes) -> Extracted:
    """Read a notebook of format 3 or 4; its title is that of its metadata, or else its first heading.

    Raises:
        UnusableError: `broken_notebook`, `no_text_in_file`, `empty_file`.
    """
    if not content.strip():
        raise UnusableError(ExtractDrop.EMPTY_FILE, f"{len(content)} bytes")
    notebook = _parsed(content)
    found = notebook.get("metadata")
    metadata: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
    language = _language(metadata)
    parts = []
    for number, cell in enumerate(_cells(notebook), start=1):
        parts.append((f"cell {number}", _cell(cell, language)))
    read = assemble(parts, None, ExtractDrop.NO_TEXT_IN_FILE, f"{len(parts)} cells without text")
    text, front_title, licence = split_front_matter(read.text)
    title = metadata.get("title") if isinstance(metadata.get("title"), str) else None
    if text != read.text and text.strip():  # Quarto and Jekyll write front matter into the first cell
        read = assemble(
            [(label, split_front_matter(part)[0]) for label, part in parts], None, ExtractDrop.NO_TEXT_IN_FILE, ""
        )
    return read._replace(title=title or front_title or first_heading(read.text), licence=licence)


def _parsed(content: bytes) -> Mapping[str, Any]:
    """Parse a notebook and bring it to format 4.

    Raises:
        UnusableError: `broken_notebook`.
    """
    try:
        raw = json.loads(content.decode("utf-8-sig"))
    except (UnicodeDecodeError, RecursionError, ValueError) as error:
        raise UnusableError(ExtractDrop.BROKEN_NOTEBOOK, f"{type(error).__name__}: {error}"[:200]) from None
    if not isinstance(raw, dict) or not (isinstance(raw.get("cells"), list) or isinstance(raw.get("worksheets"), list)):
        raise UnusableError(ExtractDrop.BROKEN_NOTEBOOK, "JSON without `cells` or `worksheets`")
    if raw.get("nbformat") in (2, 3):
        from nbformat import NotebookNode, convert, from_dict

        try:
            upgraded: NotebookNode = convert(from_dict(raw), to_version=4)
        except Exception as error:  # nbformat fails in any way on cells that break its schema
            raise UnusableError(ExtractDrop.BROKEN_NOTEBOOK, f"{type(error).__name__}: {error}"[:200]) from None
        return dict(upgraded)
    return raw


def _language(metadata: Mapping[str, Any]) -> str:
    for place, key in (("language_info", "name"), ("kernelspec", "language")):
        info = metadata.get(place)
        if isinstance(info, Mapping) and isinstance(info.get(key), str):
            return re.sub(r"[^\w+#-].*", "", info[key].lower()).replace("ipython", "python")
    return "python"


def _cells(notebook: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    return [cell for cell in notebook.get("cells") or [] if isinstance(cell, Mapping)]


def _cell(cell: Mapping[str, Any], language: str) -> str:
    source = _joined(cell.get("source"))
    if not source.strip():
        return ""
    if cell.get("cell_type") != "code":
        return _PICTURE.sub("", source)
    magic = re.match(r"%%(bash|sh|html|javascript|js|latex|sql|R|ruby|perl)\b", source)
    blocks = [fenced(source, magic[1].lower() if magic else language)]
    outputs = [
        text for output in cell.get("outputs") or [] if isinstance(output, Mapping) and (text := _output(output))
    ]
    if outputs:
        blocks.append("\n\n".join(outputs))
    return "\n\n".join(blocks)


def _output(output: Mapping[str, Any]) -> str:
    """Return an output's text; pictures and widgets have none, warnings and errors are of one machine."""
    kind = output.get("output_type")
    if kind == "stream":
        return fenced(_bounded(_joined(output.get("text"))), "text") if output.get("name") != "stderr" else ""
    data = output.get("data")
    if kind not in ("execute_result", "display_data") or not isinstance(data, Mapping):
        return ""
    if "text/markdown" in data:
        return _bounded(_joined(data["text/markdown"]))
    if "text/html" in data and (table := _html_table(_joined(data["text/html"]))):
        return table
    text = _joined(data.get("text/plain"))
    is_object = re.fullmatch(r"<.*>", text.strip(), re.DOTALL) is not None  # `<Figure size 640x480>`
    return fenced(_bounded(text), "text") if text.strip() and not is_object else ""


def _html_table(markup: str) -> str:
    """Return a data frame's table as Markdown; nothing if it is no table or too long."""
    if "<table" not in markup or len(markup) > 20 * MAX_OUTPUT_CHARACTERS:
        return ""
    from steps.extraction.html import parse
    from steps.extraction.html_tables import table_rows

    root = parse(markup)
    table = next(root.iter("table"), None) if root is not None else None
    rows = table_rows(table) if table is not None else []
    texts = [["" if cell is None else "".join(cell.itertext()) for cell in row] for row in rows]
    written = markdown_table(texts) if texts else ""
    return written if len(written) <= MAX_OUTPUT_CHARACTERS else ""


def _joined(value: object) -> str:
    if isinstance(value, list):
        return "".join(part for part in value if isinstance(part, str))
    return value if isinstance(value, str) else ""


def _bounded(text: str) -> str:
    text = _ANSI.sub("", text).strip("\n").rstrip()
    if len(text) <= MAX_OUTPUT_CHARACTERS:
        return text
    return text[:MAX_OUTPUT_CHARACTERS].rsplit("\n", 1)[0] + "\n…"
