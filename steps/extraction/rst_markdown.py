"""The tree that docutils makes of reStructuredText, rendered as Markdown."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from steps.extraction.parts import fenced, markdown_table
from steps.extraction.pieces import Piece, list_item, marked, quoted, term_with

_SKIPPED = frozenset(
    "comment target substitution_definition system_message raw pending meta image decoration header footer "
    "generated sidebar_title".split()
)
_ADMONITIONS = frozenset("attention caution danger error hint important note tip warning".split())
_MARKS = {"strong": "**", "emphasis": "*"}
_NO_LANGUAGE = frozenset(("", "code", "default", "none", "text", "literal-block"))


def render(node: Any, level: int = 0) -> list[Piece]:
    """Render a node's children as blocks; `level` is the number of sections around them."""
    pieces: list[Piece] = []
    for child in node.children:
        pieces += _block(child, level)
    return pieces


def _block(node: Any, level: int) -> list[Piece]:
    kind = node.tagname
    if kind in _SKIPPED:
        return []
    if kind == "section":
        return render(node, level + 1)
    if kind in ("title", "subtitle", "rubric"):
        return _heading(node, level)
    if kind in _RENDERERS:
        return _RENDERERS[kind](node, level)
    if kind in _ADMONITIONS:
        return _admonition(f"{kind.capitalize()}: ", render(node, level))
    if kind == "topic" and "contents" in node.get("classes", []):
        return []
    if kind == "#text" or not any(_is_block(child) for child in node.children):
        return _paragraph(node, level)
    return render(node, level)


def _is_block(node: Any) -> bool:
    from docutils import nodes

    return isinstance(node, nodes.Body | nodes.Structural | nodes.Part | nodes.Titular | nodes.Bibliographic)


def _heading(node: Any, level: int) -> list[Piece]:
    words = inline(node)
    if not words:
        return []
    if node.tagname == "rubric" or node.parent.tagname not in ("section", "document"):
        return [Piece("paragraph", marked(words, "**"))]
    return [Piece("heading", f"{'#' * min(6, max(1, level))} {words}")]


def _paragraph(node: Any, level: int) -> list[Piece]:
    words = inline(node)
    return [Piece("paragraph", words)] if words else []


def _code(node: Any, level: int) -> list[Piece]:
    named = [name for name in node.get("classes", []) if name.lower() not in _NO_LANGUAGE]
    language = "python" if node.tagname == "doctest_block" else (named[0] if named else node.get("language", ""))
    code = node.astext()
    return [Piece("code", fenced(code, re.sub(r"[^\w+#-]", "", language).lower()))] if code.strip() else []


def _list(node: Any, level: int) -> list[Piece]:
    start = int(node.get("start", 1))
    items: list[str] = []
    for item in node.children:
        pieces = render(item, level)
        if pieces:
            marker = f"{start + len(items)}. " if node.tagname == "enumerated_list" else "- "
            items.append(list_item(marker, pieces))
    return [Piece("list", "\n".join(items))] if items else []


def _terms(node: Any, level: int) -> list[Piece]:
    """Render definition, field and option lists alike: the term, and below it what is said of it."""
    items: list[str] = []
    for item in node.children:
        body = [child for child in item.children if child.tagname in ("definition", "field_body", "description")]
        heads = [child for child in item.children if child not in body]
        term = ", ".join(words for head in heads if (words := inline(head)))
        pieces = [piece for part in body for piece in render(part, level)]
        if term:
            items.append(term_with(term, pieces))
    return [Piece("list", "\n".join(items))] if items else []


def _quote(node: Any, level: int) -> list[Piece]:
    inner = "\n\n".join(piece.text for piece in render(node, level))
    return [Piece("quote", quoted(inner))] if inner else []


def _lines(node: Any, level: int) -> list[Piece]:
    lines = [inline(line) for line in node.findall() if line.tagname == "line"]
    return [Piece("paragraph", "\n".join(line for line in lines if line))]


def _maths(node: Any, level: int) -> list[Piece]:
    return [Piece("paragraph", f"$$\n{node.astext().strip()}\n$$")]


def _rule(node: Any, level: int) -> list[Piece]:
    return [Piece("rule", "---")]


def _note(node: Any, level: int) -> list[Piece]:
    """Render a footnote or citation behind its label."""
    label, *body = node.children
    pieces = [piece for child in body for piece in _block(child, level)]
    return _admonition(f"[{label.astext()}] ", pieces)


def _admonition(lead: str, pieces: list[Piece]) -> list[Piece]:
    if pieces and pieces[0].kind == "paragraph":
        return [Piece("paragraph", lead + pieces[0].text), *pieces[1:]]
    return [Piece("paragraph", lead.strip()), *pieces] if pieces else []


def _table(node: Any, level: int) -> list[Piece]:
    titles = [Piece("paragraph", inline(child)) for child in node.children if child.tagname == "title"]
    rows: list[list[str]] = []
    hanging: dict[int, int] = {}
    texts: dict[int, str] = {}
    for row in (found for found in node.findall() if found.tagname == "row"):
        cells: list[str] = []
        for entry in row.children:
            while hanging.get(len(cells), 0):
                hanging[len(cells)] -= 1
                cells.append(texts[len(cells)])
            text = " ".join(" ".join(piece.text.split()) for piece in render(entry, level))
            for _ in range(entry.get("morecols", 0) + 1):
                hanging[len(cells)], texts[len(cells)] = entry.get("morerows", 0), text
                cells.append(text)
        while hanging.get(len(cells), 0):
            hanging[len(cells)] -= 1
            cells.append(texts[len(cells)])
        rows.append(cells)
    return [*titles, Piece("table", markdown_table(rows))] if any(any(row) for row in rows) else titles


_RENDERERS: Mapping[str, Callable[[Any, int], list[Piece]]] = {
    "paragraph": _paragraph,
    "literal_block": _code,
    "doctest_block": _code,
    "bullet_list": _list,
    "enumerated_list": _list,
    "definition_list": _terms,
    "field_list": _terms,
    "option_list": _terms,
    "block_quote": _quote,
    "line_block": _lines,
    "math_block": _maths,
    "transition": _rule,
    "footnote": _note,
    "citation": _note,
    "table": _table,
}


def inline(node: Any) -> str:
    """Render a node within a line."""
    return " ".join(_inline(node).split())


def _inline(node: Any) -> str:
    kind = node.tagname
    if kind in _SKIPPED and kind != "raw":
        return ""
    if kind == "#text":
        return str(node.astext())
    if kind == "literal":
        code = node.astext()
        return f"`` {code} ``" if "`" in code else f"`{code}`"
    if kind == "math":
        return f"${node.astext()}$"
    if kind in ("footnote_reference", "citation_reference"):
        return f"[{node.astext()}]"
    inner = "".join(_inline(child) for child in node.children)
    return marked(inner, _MARKS[kind]) if kind in _MARKS else inner
