"""AsciiDoc as Markdown, line by line: no kept library parses it in Python. What has no rule here stays as it is."""

from __future__ import annotations

import re
from collections.abc import Iterator

from steps.extraction.licences import licence_in
from steps.extraction.markdown import first_heading, sections
from steps.extraction.parts import fenced, markdown_table
from steps.extraction.reasons import ExtractDrop, UnusableError
from steps.extraction.text import Extracted, decode_counted

_HEADING = re.compile(r"(={1,6}|#{1,6})\s+(\S.*)")
_ATTRIBUTE = re.compile(r":!?[\w-][\w -]*!?:(?:\s.*)?")
_BLOCK_ATTRIBUTES = re.compile(r"\[(?!\[)[^\]]*\]\s*|\[\[[^\]]*\]\]\s*")
_SOURCE = re.compile(r"\[(?:source|,)?\s*,?\s*(?:%\w+\s*,?\s*)*([\w+#-]*)")
_TITLE = re.compile(r"\.([^\s.].*)")
_ITEM = re.compile(r"\s*(\*{1,5}|\.{1,5}|-|\d+\.)\s+(\S.*)")
_TERM = re.compile(r"(\S.*?)(?:::{1,3}|;;)(?:\s+(.*))?")
_FENCES = re.compile(r"(-{4,}|\.{4,}|={4,}|\*{4,}|_{4,}|\+{4,}|/{4,}|`{3,}|--)(\w*)\s*")
_MACRO = re.compile(r"(?:image|video|audio|include|ifdef|ifndef|ifeval|endif|toc|indexterm)::\S*\[.*\]")
_CELL_STYLE = re.compile(r"(?:\d+(?:\.\d+)?[+*]|\.\d+[+*])?(?:[<^>](?:\.[<^>])?|\.[<^>])?[adehlmsv]?$")
_INLINE = (
    (re.compile(r"image:[^\s\[]{1,500}\[[^\]]{0,500}\]"), ""),
    (re.compile(r"(?:link:|xref:|mailto:|https?://)[^\s\[\]]{0,500}\[([^\]]{1,500})\]"), r"\1"),
    (re.compile(r"<<[^,>]+,\s*([^>]+)>>"), r"\1"),
    (re.compile(r"<<([^,>]+)>>"), r"\1"),
    (re.compile(r"(?:kbd|btn|menu|pass|footnote):\w*\[([^\]]*)\]"), r"\1"),
    (re.compile(r"\(\(\(.*?\)\)\)"), ""),
    (re.compile(r"(?<![\w*])\*(?![\s*])([^*\n]+?)(?<!\s)\*(?![\w*])"), r"**\1**"),
    (re.compile(r"(?<![\w_])_(?![\s_])([^_\n]+?)(?<!\s)_(?![\w_])"), r"*\1*"),
    (re.compile(r"`\+([^`]+)\+`"), r"`\1`"),
    (re.compile(r"\[\.?[\w-]*\]#([^#]+)#"), r"\1"),
)


def read_asciidoc(content: bytes) -> Extracted:
    """Read AsciiDoc as Markdown; the title is its first heading.

    Raises:
        UnusableError: if it is empty, binary, of no known encoding, or nothing but attributes (`no_text_in_file`).
    """
    source, repairs = decode_counted(content)
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(_converted(source.split("\n")))).strip()
    if not text:
        raise UnusableError(ExtractDrop.NO_TEXT_IN_FILE, f"{len(source)} characters, but only attributes")
    return Extracted(text, first_heading(text), sections(text), licence_in(source), repairs)


def _converted(lines: list[str]) -> Iterator[str]:
    language = ""
    number = 0
    while number < len(lines):
        line = lines[number].rstrip()
        number += 1
        if line.startswith("|"):
            stop = _end_of_table(lines, number - 1)
            yield from ("", _table(lines[number - 1 : stop]), "")
            number = stop
        elif fence := _FENCES.fullmatch(line):
            stop = next((at for at in range(number, len(lines)) if lines[at].rstrip() == fence[1]), len(lines))
            yield from ("", *_block(fence[1][0], fence[2] or language, lines[number:stop]), "")
            language, number = "", stop + 1
        elif _BLOCK_ATTRIBUTES.fullmatch(line):
            found = _SOURCE.match(line)
            language = found[1] if found and line.startswith(("[source", "[,")) else ""
        elif line == "+" or line.startswith("//") or _ATTRIBUTE.fullmatch(line) or _MACRO.fullmatch(line):
            yield ""
        else:
            yield from _line(line)


def _line(line: str) -> Iterator[str]:
    if heading := _HEADING.fullmatch(line):
        yield from ("", f"{'#' * len(heading[1])} {_inline(heading[2])}", "")
    elif line in ("'''", "---", "***"):
        yield "---"
    elif item := _ITEM.fullmatch(line):
        mark = item[1]
        indent = len(line) - len(line.lstrip())
        depth = max(len(mark) - 1 if mark[0] in "*." else 0, indent // 2)
        yield f"{'   ' * min(depth, 4)}{'1.' if mark[0] == '.' or mark[0].isdigit() else '-'} {_inline(item[2])}"
    elif (term := _TERM.fullmatch(line)) and "::" in line and "://" not in term[1]:
        yield f"- **{_inline(term[1])}**"
        if term[2]:
            yield f"  - {_inline(term[2])}"
    elif title := _TITLE.fullmatch(line):
        yield from ("", f"**{_inline(title[1])}**", "")
    else:
        yield _inline(line.removesuffix(" +"))


def _block(mark: str, language: str, lines: list[str]) -> Iterator[str]:
    """Render what stands between two fences: code, a quote, or blocks of their own."""
    if mark == "/":
        return
    if mark in "-.+`" and not (mark == "-" and not language and _is_open(lines)):
        yield fenced("\n".join(lines), language)
    elif mark == "_":
        yield from (f"> {line}".rstrip() for line in _converted(lines))
    else:
        yield from _converted(lines)


def _is_open(lines: list[str]) -> bool:
    """Say whether an open block (`--`) holds text rather than code: its first line is a list item or a sentence."""
    return bool(lines) and _ITEM.fullmatch(lines[0]) is not None


def _end_of_table(lines: list[str], start: int) -> int:
    if lines[start].rstrip().startswith("|==="):
        inside = range(start + 1, len(lines))
        return next((at + 1 for at in inside if lines[at].startswith("|===")), len(lines))
    return next((at for at in range(start, len(lines)) if not lines[at].startswith("|")), len(lines))


def _table(lines: list[str]) -> str:
    """Render a table; the first line with cells tells how many columns it has."""
    rows: list[list[str]] = []
    width = 0
    for line in lines:
        if line.startswith("|===") or not line.strip():
            continue
        parts = re.split(r"(?<!\\)\|", line)
        cells = [_inline(_without_style(cell, number + 1 < len(parts) - 1)) for number, cell in enumerate(parts[1:])]
        if not cells:  # a line without a bar goes on with the cell above
            if rows:
                rows[-1][-1] = f"{rows[-1][-1]} {_inline(line)}".strip()
            continue
        cells = cells[:-1] if len(cells) > 1 and not cells[-1] and not lines[0].startswith("|===") else cells
        width = width or len(cells)
        if rows and len(rows[-1]) < width and len(cells) == 1:
            rows[-1] += cells
        else:
            rows.append(cells)
    return markdown_table(rows)


def _without_style(cell: str, has_next: bool) -> str:
    """Take the style of the next cell off the end of a cell: `a ^.^h` before `|`."""
    text = cell.strip()
    if has_next and " " in text:
        head, _, last = text.rpartition(" ")
        if re.search(r"[<^>.+*]", last) and _CELL_STYLE.fullmatch(last):
            return head
    return "" if has_next and re.search(r"[<^>]", text) and _CELL_STYLE.fullmatch(text) else text


def _inline(text: str) -> str:
    for pattern, replacement in _INLINE:
        text = pattern.sub(replacement, text)
    return text.strip()
