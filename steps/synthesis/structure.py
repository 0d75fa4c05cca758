"""The structure of a text: blocks with character offsets, gathered into sections under their headings.

Markdown is parsed by markdown-it-py. Plain text, reStructuredText and the text of PDFs are read as Markdown too, after
their own marks (bullets, underlines of headings) were replaced by Markdown's, character by character, so that every
offset stays true.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise
from typing import NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token

from steps.extraction.markdown import plain

_BULLET = re.compile(r"^([ \t]*)[•‣◦▪●∙·–—](?=[ \t])", re.MULTILINE)
#: An underline of a reStructuredText heading in marks that Markdown does not know, under a line of text.
_RST_UNDERLINE = re.compile(r"(?<=\n)([~^*+#\"'`.:_])\1{2,}[ \t]*(?=\n|\Z)")
_KINDS = {
    "heading_open": "heading",
    "paragraph_open": "paragraph",
    "bullet_list_open": "list",
    "ordered_list_open": "list",
    "fence": "code",
    "code_block": "code",
    "blockquote_open": "quote",
    "table_open": "table",
    "html_block": "html",
}


class Block(NamedTuple):
    """One block: `text[start:end]` is its source, without blank lines around it.

    `text` is the words of a heading, the joined lines of a paragraph, or the content of a code block; `items` are the
    items of a list, nested ones as well, each joined to one line.
    """

    kind: str  # heading | paragraph | list | code | quote | table | html | other
    start: int
    end: int
    text: str = ""
    level: int = 0
    language: str = ""
    items: tuple[str, ...] = ()


class Section(NamedTuple):
    """A heading and the blocks under it, up to the next heading; `parents` are the headings above, outermost first.

    `subtree_end` is where the next heading of the same or a higher level begins.
    """

    heading: Block | None
    blocks: tuple[Block, ...]
    parents: tuple[Block, ...]
    start: int
    end: int
    subtree_end: int

    @property
    def name(self) -> str:
        """The heading's words, empty before the first heading."""
        return self.heading.text if self.heading else ""


def normalise(text: str, format_name: str = "markdown") -> str:
    r"""Write bullets and underlines as Markdown does; the length stays the same.

    >>> normalise("Title\n~~~~~\n\n• point", "text")
    'Title\n-----\n\n- point'
    """
    text = _BULLET.sub(r"\1-", text)
    if format_name == "text":
        text = _RST_UNDERLINE.sub(lambda found: "-" * len(found[0]), text)
    return text


def parse_blocks(text: str) -> tuple[Block, ...]:
    """Parse a normalised text into its outermost blocks, in order."""
    line_starts = [0]
    for line in text.split("\n"):
        line_starts.append(line_starts[-1] + len(line) + 1)
    line_starts[-1] = len(text)
    tokens = _parser().parse(text)
    blocks = []
    for number, token in enumerate(tokens):
        if token.level or token.map is None or token.nesting < 0:
            continue
        start, end = line_starts[token.map[0]], line_starts[min(token.map[1], len(line_starts) - 1)]
        source = text[start:end]
        start += len(source) - len(source.lstrip("\n"))
        end -= len(source) - len(source.rstrip())
        if start < end:
            blocks.append(_block(token, tokens, number, start, end))
    return tuple(blocks)


def parse_sections(text: str) -> tuple[Section, ...]:
    """Parse a normalised text into sections, in order; what stands before the first heading is a section of its own."""
    return sections_of(parse_blocks(text), len(text))


def sections_of(blocks: tuple[Block, ...], length: int) -> tuple[Section, ...]:
    """Gather blocks under their headings."""
    heads = [number for number, block in enumerate(blocks) if block.kind == "heading"]
    bounds = [*([0] if not heads or heads[0] > 0 else []), *heads, len(blocks)]
    sections = []
    parents: list[Block] = []
    for first, stop in pairwise(bounds):
        if first == stop:
            continue
        heading = blocks[first] if blocks[first].kind == "heading" else None
        level = heading.level if heading else 0
        parents = [parent for parent in parents if parent.level < level]
        following = (blocks[number].start for number in heads if number > first and blocks[number].level <= level)
        section = Section(
            heading,
            blocks[first + 1 if heading else first : stop],
            tuple(parents),
            blocks[first].start,
            blocks[stop - 1].end,
            next(following, length) if heading else blocks[stop - 1].end,
        )
        sections.append(section)
        parents += [heading] if heading else []
    return tuple(sections)


@cache
def _parser() -> MarkdownIt:
    """Return a parser of blocks; inline marks are not parsed, which is most of the work."""
    parser = MarkdownIt("commonmark").enable("table")
    parser.core.ruler.disable("inline")
    return parser


def _block(token: Token, tokens: list[Token], number: int, start: int, end: int) -> Block:
    kind = _KINDS.get(token.type, "other")
    if kind == "heading":
        return Block(kind, start, end, plain(tokens[number + 1].content), int(token.tag[1:]))
    if kind == "paragraph":
        return Block(kind, start, end, _one_line(tokens[number + 1].content))
    if kind == "code":
        return Block(kind, start, end, token.content, language=token.info.split(" ")[0].strip("{}.").lower())
    if kind == "list":
        stop = next(i for i in range(number + 1, len(tokens)) if tokens[i].level == 0)
        items = tuple(_one_line(inner.content) for inner in tokens[number:stop] if inner.type == "inline")
        return Block(kind, start, end, items=items)
    return Block(kind, start, end)


def _one_line(content: str) -> str:
    return " ".join(content.split())
