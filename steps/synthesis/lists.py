"""Kind `list`: a list, asked for by the sentence that introduces it or by its heading."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

from steps.synthesis.pairs import (
    Document,
    Pair,
    clean,
    has_machine_markup,
    is_navigation,
    n_words,
    readable_sections,
)
from steps.synthesis.sentences import sentences
from steps.synthesis.structure import Block, Section
from steps.synthesis.summaries import SUMMARY_HEADING

KIND = "list"
WITH_LEAD = (
    "On {topic}: {lead}. Give the list.",
    "Write the list that follows, about {topic}: {lead}:",
    "Complete this statement about {topic} with a list: {lead}:",
    "Answer with a list, on {topic}. {lead}:",
)
BARE = (
    "What are the main points of {topic}? Answer with a list.",
    "List the points that belong to {topic}.",
    "Give the points on {topic} as a list.",
)
MIN_ITEMS, MAX_ITEMS = 3, 25
#: Items of fewer words than this on average are names without anything said about them.
MIN_WORDS_PER_ITEM = 2.5
MAX_WORDS = 350
_TASK = re.compile(r"^\s*[-*+] \[[ xX]\]", re.MULTILINE)
_LINK_FIRST = re.compile(r"\**\[[^\]]+\]\(")
#: A lead-in that points at something else than the list.
_ELSEWHERE = re.compile(r"\b(above|previous|earlier|table|figure|image|screenshot|diagram)\b", re.IGNORECASE)


def list_pairs(document: Document) -> Iterator[Pair]:
    """Yield a pair per list that is introduced, or that stands first under its heading."""
    for section in readable_sections(document):
        if SUMMARY_HEADING.fullmatch(section.name):
            continue
        for number, block in enumerate(section.blocks):
            if block.kind != "list" or not _is_worth_asking(document, block):
                continue
            before = section.blocks[number - 1] if number else None
            prompt = _prompt(document, section, before, block.start)
            if prompt:
                answer = clean(textwrap.dedent(document.text[block.start : block.end]))
                yield Pair(KIND, prompt, answer, block.start, block.end)


def _prompt(document: Document, section: Section, before: Block | None, start: int) -> str | None:
    topic = document.topic(section)
    if topic is None:
        return None
    if before is None:
        return document.choose(BARE, KIND, start).format(topic=topic)
    if before.kind != "paragraph" or not before.text.endswith(":") or has_machine_markup(before.text):
        return None
    lead = clean(sentences(before.text)[-1]).rstrip(":").strip()
    if n_words(lead) < 3 or _ELSEWHERE.search(lead) or lead.startswith(("|", "**", ".")):
        return None
    return document.choose(WITH_LEAD, KIND, start).format(topic=topic, lead=lead)


def _is_worth_asking(document: Document, block: Block) -> bool:
    source = document.text[block.start : block.end]
    words = sum(map(n_words, block.items))
    linked_first = sum(1 for item in block.items if _LINK_FIRST.match(item))
    return (
        MIN_ITEMS <= len(block.items) <= MAX_ITEMS
        and MIN_WORDS_PER_ITEM * len(block.items) <= words <= MAX_WORDS
        and linked_first * 2 < len(block.items)
        and not _TASK.search(source)
        and not has_machine_markup(source)
        and not is_navigation(source)
        and source.count("```") % 2 == 0
    )
