"""Kind `summary`: the author's own TL;DR, asked for with the rest of the document in the prompt."""

from __future__ import annotations

import re
from collections.abc import Iterator

from steps.synthesis.pairs import Document, Pair, clean, has_machine_markup, is_navigation, n_words, strip_number
from steps.synthesis.sentences import sentences
from steps.synthesis.structure import Block, Section

KIND = "summary"
_NAMES = r"tl;?\s?dr|summary|(?:executive |quick |short )summary|key (?:points|takeaways)|takeaways|abstract|in short"
SUMMARY_HEADING = re.compile(_NAMES, re.IGNORECASE)
#: A line that takes the place of a heading, such as `**TL;DR:**`, with or without the summary behind it.
_SUMMARY_LINE = re.compile(
    r"(?:\*\*|__|\*)?(?:tl;?dr|in short|key (?:points|takeaways))(?:\*\*|__|\*)?\s*(?:[:—–-]|$)\s*(?:\*\*|__|\*)?\s*",
    re.IGNORECASE,
)
INSTRUCTIONS = (
    "Summarize the note as a markdown TL;DR.",
    "Write a TL;DR of this note in markdown.",
    "Please give me the TL;DR of this note.",
    "Can you sum up this note as a TL;DR?",
    "Summarize the following text as a markdown TL;DR with one bullet per point.",
    "Give the key points of the text below as a markdown TL;DR.",
)
#: Fewer words than this are no text to summarise.
MIN_CONTEXT_WORDS = 5
#: More points than this are a table of contents rather than a summary.
MAX_POINTS = 15
#: Share of a summary's words of four letters or more that the text must hold, and from how many on it counts.
MIN_GROUNDED_SHARE = 0.4
MIN_TELLING_WORDS = 8


def summary_pairs(document: Document) -> Iterator[Pair]:
    """Yield a pair per summary in the document; its prompt holds what the summary is about, without the summary."""
    for section in document.sections:
        if SUMMARY_HEADING.fullmatch(strip_number(section.name)):
            scope = _scope(document, section)
            yield from _pair(document, section.blocks, section.start, section.subtree_end, scope)
            continue
        for number, block in enumerate(section.blocks):
            if block.kind == "paragraph" and (line := _SUMMARY_LINE.match(block.text)):
                blocks = _behind_line(block, line.end(), section.blocks[number + 1 :])
                end = blocks[-1].end if blocks else block.end
                yield from _pair(document, blocks, block.start, end, (0, len(document.text)))
                break


def answer_of(points: list[str]) -> str:
    r"""Write the points as the answer that a TL;DR task wants.

    >>> answer_of(["a", "b"])
    '## TL;DR\n- a\n- b'
    """
    return "## TL;DR\n" + "\n".join(f"- {point}" for point in points)


def points_of(blocks: tuple[Block, ...]) -> list[str]:
    """Return the points of a summary: list items as they are, prose by the sentence; lead-ins (`…:`) are no points."""
    points: list[str] = []
    for block in blocks:
        if block.kind == "list":
            points += block.items
        elif block.kind == "paragraph" and not block.text.endswith(":"):
            points += sentences(block.text)
    return [point for point in map(clean, points) if point]


def _is_grounded(points: list[str], context: str) -> bool:
    """Return whether the text says what the summary says; a few words alone cannot be told."""
    said = [word for point in points for word in _content_words(point)]
    known = set(_content_words(context))
    return len(said) < MIN_TELLING_WORDS or sum(word in known for word in said) >= MIN_GROUNDED_SHARE * len(said)


def _content_words(text: str) -> list[str]:
    return re.findall(r"\w{4,}", text.casefold())


def _scope(document: Document, section: Section) -> tuple[int, int]:
    """Return what a summary section summarises: the section around it, or the document where none is."""
    if not section.parents:
        return 0, len(document.text)
    around = next(other for other in document.sections if other.heading is section.parents[-1])
    return around.start, around.subtree_end


def _behind_line(block: Block, offset: int, following: tuple[Block, ...]) -> tuple[Block, ...]:
    """Return the blocks of a summary that a line introduces: the rest of the line, else the list that follows."""
    rest = block.text[offset:].strip(" *_")
    if n_words(rest):
        return (block._replace(text=rest),)
    return following[:1] if following and following[0].kind in {"list", "paragraph"} else ()


def _pair(
    document: Document, blocks: tuple[Block, ...], start: int, end: int, scope: tuple[int, int]
) -> Iterator[Pair]:
    if not blocks or any(block.kind not in {"list", "paragraph", "quote"} for block in blocks):
        return
    points = points_of(blocks)
    before, behind = document.text[scope[0] : start].rstrip(), document.text[end : scope[1]].strip("\n")
    context = f"{before}\n\n{behind}".strip()
    answer = answer_of(points)
    if not 1 <= len(points) <= MAX_POINTS or n_words(context) < MIN_CONTEXT_WORDS:
        return
    if has_machine_markup(answer) or is_navigation("\n".join(points)) or not _is_grounded(points, context):
        return
    instruction = document.choose(INSTRUCTIONS, KIND, start)
    yield Pair(KIND, f"{instruction}\n\n{context}", answer, blocks[0].start, blocks[-1].end)
