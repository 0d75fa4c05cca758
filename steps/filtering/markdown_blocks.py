"""The blocks of a Markdown answer: code fences and tables."""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from markdown_it import MarkdownIt

#: A line that only a pipe table has: dashes, with colons for the alignment, between pipes. RE2 and `re`.
DELIMITER_ROW = r"(?m)^[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)+\|?[ \t]*$"
_DELIMITER_ROW = re.compile(DELIMITER_ROW)
_CELL_BREAK = re.compile(r"(?<!\\)\|")
_CODE_SPAN = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)")


class Block(NamedTuple):
    """One fenced block: its info string's first word, its content, and whether the fence was closed."""

    language: str
    content: str
    closed: bool


def fenced_blocks(text: str) -> list[Block]:
    """Return the fenced code blocks of a Markdown text, also those in lists and quotations."""
    if "```" not in text and "~~~" not in text:
        return []
    lines = text.splitlines()
    blocks = []
    for token in _markdown().parse(text):
        if token.type == "fence" and token.map:
            start, end = token.map
            last = lines[min(end, len(lines)) - 1].lstrip("> \t").rstrip()
            closed = end - start > 1 and len(last) >= len(token.markup) and set(last) == {token.markup[0]}
            language = (token.info.split() or [""])[0].strip("{}.").lower()
            blocks.append(Block(language, token.content, closed))
    return blocks


@cache
def _markdown() -> MarkdownIt:
    # Block structure is all that is asked for; inline parsing is most of the time.
    return MarkdownIt("commonmark").disable("inline")


def table_defect(text: str) -> str | None:
    r"""Return what is wrong with the first pipe table that GitHub would render otherwise than it was meant.

    A header whose delimiter row has another number of cells is not rendered as a table at all; cells beyond the
    header's number are not shown (GitHub Flavored Markdown, section 4.10). Rows with fewer cells are well formed.

    >>> table_defect("| a | b |\n|---|---|\n| 1 | 2 |")
    >>> table_defect("| a | b |\n|---|\n| 1 | 2 |")
    >>> table_defect("| a | b |\n|---|---|\n| 1 | 2 | 3 |")
    'line 3: 3 cells under a header of 2'
    """
    lines = text.splitlines()
    for number in range(1, len(lines)):
        header = lines[number - 1]
        if "|" not in header or not _DELIMITER_ROW.match(lines[number]):
            continue
        width = _cells(header)
        if _cells(lines[number]) != width:
            return f"line {number + 1}: {_cells(lines[number])} delimiter cells under a header of {width}"
        for row in range(number + 1, len(lines)):
            if "|" not in lines[row]:
                break
            if _cells(lines[row]) > width:
                return f"line {row + 1}: {_cells(lines[row])} cells under a header of {width}"
    return None


def without_fences(text: str) -> str:
    r"""Return the text without its fenced blocks, an unclosed one to the end, and without code between backticks.

    >>> without_fences("a `b = 1` c\n```\nd\n```\ne")
    'a   c\n \ne'
    """
    return _CODE.sub(" ", text) if "`" in text or "~~~" in text else text


_CODE = re.compile(r"(?ms)^[ \t>]*(```+|~~~+).*?(?:^[ \t>]*\1[`~]*[ \t]*$|\Z)|(`+)(?!`)(?:(?!\n\n).)+?(?<!`)\2(?!`)")


def _cells(line: str) -> int:
    bare = _CODE_SPAN.sub("x", line.strip())
    return len(_CELL_BREAK.findall(bare.removeprefix("|").removesuffix("|") if bare != "|" else "")) + 1
