"""HTML elements to Markdown: headings, lists, tables, code and quotes keep their form, links their words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from textwrap import dedent
from typing import Any

from steps.extraction.html_tables import table_rows
from steps.extraction.parts import fenced, markdown_table
from steps.extraction.pieces import Piece, indented, list_item, marked, quoted, term_with
from steps.extraction.reasons import ExtractDrop, UnusableError

#: Elements nested deeper than this are an attack on recursion, not a page (libxml2 itself stops at 256).
MAX_DEPTH = 200
SKIPPED = frozenset(
    "script style noscript template head iframe object embed svg canvas video audio map area button input select "
    "textarea datalist dialog link meta".split()
)
BLOCKS = frozenset(
    "address article aside blockquote body center dd details div dl dt fieldset figcaption figure footer form h1 h2 h3 "
    "h4 h5 h6 header hr html li main nav ol p pre section summary table tbody td tfoot th thead tr ul caption".split()
)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_MARKS = {"strong": "**", "b": "**", "em": "*", "i": "*", "cite": "*", "del": "~~", "s": "~~", "strike": "~~"}
_TERMS = ("dt", "dd")
_CODE = frozenset(("code", "kbd", "samp", "tt"))
#: Classes that name the language of a code block: Sphinx, Prism, highlight.js, GitHub, SyntaxHighlighter.
_LANGUAGE = re.compile(r"(?:^|\s)(?:language-|lang-|highlight-source-|highlight-|brush:\s*)([A-Za-z][\w+#-]*)")
_NO_LANGUAGE = frozenset(("default", "none", "text", "plaintext", "notranslate", "source", "highlight"))
#: A superscript that changes the meaning of what precedes it: `10<sup>6</sup>` is not 106.
_EXPONENT = re.compile(r"[-+−]?[\dn]{1,4}")
#: Links to a heading, which generators of documentation put into it.
_PERMALINK = re.compile(r"headerlink|hash-link|header-anchor|anchorjs-link")
_HIDDEN = re.compile(r"display:\s*none|visibility:\s*hidden", re.IGNORECASE)


def to_markdown(element: Any) -> str:
    """Render an lxml element and all below it.

    Raises:
        UnusableError: `too_deep_markup`.
    """
    return "\n\n".join(piece.text for piece in pieces_of(element))


def pieces_of(element: Any, depth: int = 0) -> list[Piece]:
    """Render an element's content as blocks, in order.

    Raises:
        UnusableError: `too_deep_markup`.
    """
    if depth > MAX_DEPTH:
        raise UnusableError(ExtractDrop.TOO_DEEP_MARKUP, f"elements nested deeper than {MAX_DEPTH}")
    pieces: list[Piece] = []
    run = [element.text or ""]
    for child in element:
        # `<dd>` without an end holds the next one, which the list renders itself
        if isinstance(child.tag, str) and not is_hidden(child) and not (child.tag in _TERMS and element.tag in _TERMS):
            if _is_block(child):
                pieces += _paragraph(run)
                run = []
                pieces += _block(child, depth + 1)
            else:
                run.append(inline(child, depth + 1))
        run.append(child.tail or "")
    return [*pieces, *_paragraph(run)]


def inline(element: Any, depth: int = 0) -> str:
    """Render an element within a line; spaces are not collapsed yet, `<br>` is a line feed.

    Raises:
        UnusableError: `too_deep_markup`.
    """
    if depth > MAX_DEPTH:
        raise UnusableError(ExtractDrop.TOO_DEEP_MARKUP, f"elements nested deeper than {MAX_DEPTH}")
    tag = str(element.tag)
    if tag == "br":
        return "\n\x00"
    if tag == "img":
        return _image(element)
    if tag == "math":
        return _maths(element)
    if tag in _CODE:
        raw = "".join(element.itertext())
        words = " ".join(raw.split())
        mark = "``" if "`" in words else "`"
        before, after = " " * raw[:1].isspace(), " " * raw[-1:].isspace()
        return f"{before}{mark}{words}{mark}{after}" if words else raw
    inner = "".join(_inline_parts(element, depth))
    if tag in _MARKS:
        return marked(inner, _MARKS[tag])
    if tag == "sup":
        if "reference" in (element.get("class") or "") or re.fullmatch(r"\s*\[\w{1,3}\]\s*", inner):
            return ""
        return f"^{inner.strip()}" if _EXPONENT.fullmatch(inner.strip()) else inner
    return inner


def is_hidden(element: Any) -> bool:
    """Say whether an element is never shown, or is no text (scripts, controls)."""
    return (
        element.tag in SKIPPED
        or element.get("hidden") is not None
        or (element.tag == "a" and _PERMALINK.search(element.get("class") or "") is not None)
        or _HIDDEN.search(element.get("style") or "") is not None
    )


def _inline_parts(element: Any, depth: int) -> Iterator[str]:
    yield element.text or ""
    for child in element:
        if isinstance(child.tag, str) and not is_hidden(child):
            inner = inline(child, depth + 1)
            yield f" {inner} " if child.tag in BLOCKS else inner
        yield child.tail or ""


def _is_block(element: Any) -> bool:
    """Say whether an element is a block, or an inline one that wraps blocks (a link around a card)."""
    return element.tag in BLOCKS or any(below.tag in BLOCKS for below in element.iterdescendants())


def _block(element: Any, depth: int) -> list[Piece]:
    tag = str(element.tag)
    if tag in _HEADINGS:
        words = " ".join(inline(element, depth).replace("\x00", "").split()).removesuffix("¶").strip()
        return [Piece("heading", f"{'#' * _HEADINGS[tag]} {words}")] if words else []
    if tag in ("ul", "ol"):
        return _list(element, depth)
    if tag == "dl":
        return _definitions(element, depth)
    if tag == "pre":
        return _code(element)
    if tag == "table":
        return _table(element, depth)
    if tag == "blockquote":
        inner = "\n\n".join(piece.text for piece in pieces_of(element, depth))
        return [Piece("quote", quoted(inner))] if inner else []
    if tag == "hr":
        return [Piece("rule", "---")]
    return pieces_of(element, depth)


def _paragraph(run: list[str]) -> list[Piece]:
    lines = "".join(run).split("\n\x00") if any("\x00" in part for part in run) else ["".join(run)]
    text = "\n".join(line for raw in lines if (line := " ".join(raw.replace("\x00", "").split())))
    return [Piece("paragraph", text)] if text else []


def _list(element: Any, depth: int) -> list[Piece]:
    try:
        number = int(element.get("start") or 1)
    except ValueError:
        number = 1
    items: list[str] = []
    for child in element:
        if not isinstance(child.tag, str) or is_hidden(child):
            continue
        pieces = _block(child, depth + 1) if child.tag in ("ul", "ol") else pieces_of(child, depth + 1)
        if child.tag in ("ul", "ol") and items:  # a list between two items belongs to the item above
            items[-1] += "\n" + "\n".join(indented(piece.text, 2) for piece in pieces)
        elif pieces:
            marker = f"{number + len(items)}. " if element.tag == "ol" else "- "
            items.append(list_item(marker, pieces))
    return [Piece("list", "\n".join(items))] if items else []


def _definitions(element: Any, depth: int) -> list[Piece]:
    items: list[tuple[str, list[Piece]]] = []
    for child in element.iter(*_TERMS):
        if next(child.iterancestors("dl")) is not element:
            continue
        pieces = pieces_of(child, depth + 1)
        if child.tag == "dt" and pieces:
            items.append((" ".join(piece.text for piece in pieces), []))
        elif pieces and items:
            items[-1][1].extend(pieces)
        elif pieces:
            items.append((pieces[0].text, pieces[1:]))
    return [Piece("list", "\n".join(term_with(*item) for item in items))] if items else []


def _code(element: Any) -> list[Piece]:
    for line_break in element.iter("br"):
        line_break.tail = "\n" + (line_break.tail or "")
    code = "".join(element.itertext())
    return [Piece("code", fenced(dedent(code), _language(element)))] if code.strip() else []


def _language(element: Any) -> str:
    near = [element, *element.iterchildren("code"), *list(element.iterancestors())[:2]]
    for candidate in near:
        found = _LANGUAGE.search(candidate.get("class") or "")
        if found and found[1].lower() not in _NO_LANGUAGE:
            return found[1].lower()
    return ""


def _table(element: Any, depth: int) -> list[Piece]:
    """Render a table; one that only lays out a page (one column, or tables in its cells) is rendered as its blocks."""
    rows = table_rows(element)
    captions = [piece for caption in element.iterchildren("caption") for piece in pieces_of(caption, depth + 1)]
    has_header = any(cell is not None and cell.tag == "th" for row in rows for cell in row)
    holds_tables = next(element.iterdescendants("table"), None) is not None
    if element.get("role") == "presentation" or (holds_tables and not has_header):
        return [piece for row in rows for cell in dict.fromkeys(row) for piece in _cell_pieces(cell, depth)]
    texts: dict[Any, str] = {}
    for row in rows:
        for cell in row:
            if cell is not None and cell not in texts:
                texts[cell] = _cell_text(cell, depth + 1)
    written = [
        # a cell across the whole row is a line of its own, and said once
        [texts.get(cell, "") if number == 0 or len(set(row)) > 1 else "" for number, cell in enumerate(row)]
        for row in rows
    ]
    written = [row for row in written if any(row)]
    if not written:
        return captions
    if max(map(len, written)) == 1:
        return [*captions, *(Piece("paragraph", row[0]) for row in written)]
    return [*captions, Piece("table", markdown_table(written))]


def _cell_text(cell: Any, depth: int) -> str:
    if next(cell.iterdescendants("table"), None) is not None:  # Markdown has no tables within cells
        return " ".join("".join(_inline_parts(cell, depth)).replace("\x00", "").split())
    return " ".join(piece.text.replace("\n", " ") for piece in pieces_of(cell, depth))


def _cell_pieces(cell: Any, depth: int) -> list[Piece]:
    return [] if cell is None else pieces_of(cell, depth + 1)


def _image(element: Any) -> str:
    """Return the TeX of a formula shown as a picture; other pictures have no words worth keeping."""
    is_maths = re.search(r"\b(math|tex|latex)", (element.get("class") or "").lower()) is not None
    alt = (element.get("alt") or "").strip()
    return f"${_bare_tex(alt)}$" if is_maths and alt else ""


def _maths(element: Any) -> str:
    tex = element.get("alttext") or next(
        (note.text for note in element.iter("annotation") if "tex" in (note.get("encoding") or "")), None
    )
    return f"${_bare_tex(tex)}$" if tex else " ".join("".join(element.itertext()).split())


def _bare_tex(tex: str) -> str:
    found = re.fullmatch(r"\{\\displaystyle (.*)\}", tex.strip(), re.DOTALL)
    return (found[1] if found else tex).strip()
