"""Kind `section`: a section, asked for by its heading."""

from __future__ import annotations

import re
from collections.abc import Iterator

from steps.synthesis.pairs import (
    Document,
    Pair,
    clean,
    has_machine_markup,
    is_navigation,
    leans_on_links,
    n_words,
    readable_sections,
    strip_number,
)
from steps.synthesis.structure import Section
from steps.synthesis.summaries import SUMMARY_HEADING

KIND = "section"
ABOUT = (
    "Explain {topic}.",
    "What does the documentation say about {topic}?",
    "What should I know about {topic}?",
    "Tell me about {topic}.",
    "Describe {topic}.",
)
MIN_WORDS, MAX_WORDS = 30, 400
#: Text that leans on another part of the document cannot stand alone.
DANGLING = re.compile(
    r"\b(?:(?:as|see|shown|described|mentioned|discussed|listed|noted|explained|seen) (?:\w+ )?(?:above|below|earlier)|"
    r"(?:the )?(?:above|preceding) (?:\w+ ){0,2}(?:code|example|table|figure|section|command|image|script|snippet)|"
    r"(?:previous|next|preceding|following|last|this) "
    r"(?:section|chapter|page|tutorial|guide|notebook|unit|lesson|figure)|"
    r"(?:figure|table|fig\.) (?:\d+|below|above))\b",
    re.IGNORECASE,
)
_KINDS = {"paragraph", "list", "code", "quote", "table"}


def section_pairs(document: Document) -> Iterator[Pair]:
    """Yield a pair per section that begins with prose, says enough, and stands alone."""
    for section in readable_sections(document):
        topic = document.topic(section)
        if topic is None or section.heading is None or not section.blocks or not _stands_alone(document, section):
            continue
        start, end = section.blocks[0].start, section.blocks[-1].end
        yield Pair(KIND, _prompt(document, section, topic), clean(document.text[start:end]), start, end)


def _prompt(document: Document, section: Section, topic: str) -> str:
    heading = strip_number(section.name)
    title = f" ({document.title})" if document.title and document.title.casefold() not in heading.casefold() else ""
    if heading.endswith("?"):
        return heading + title
    if heading.lower().startswith("how to "):
        rest = heading[7:]
        rest = rest[:1].lower() + rest[1:] if rest[1:2].islower() else rest  # but not of an acronym
        return f"How do I {rest}?{title}"
    return document.choose(ABOUT, KIND, section.start).format(topic=topic)


def _stands_alone(document: Document, section: Section) -> bool:
    first, last = section.blocks[0], section.blocks[-1]
    if first.kind != "paragraph" or any(block.kind not in _KINDS for block in section.blocks):
        return False
    if SUMMARY_HEADING.fullmatch(section.name) or (last.kind == "paragraph" and last.text.endswith(":")):
        return False
    source = document.text[first.start : last.end]
    prose = "\n\n".join(document.text[b.start : b.end] for b in section.blocks if b.kind != "code")
    return (
        MIN_WORDS <= n_words(clean(source)) <= MAX_WORDS
        and n_words(first.text) >= MIN_WORDS // 3
        and not DANGLING.search(prose)
        and not has_machine_markup(prose)
        and not is_navigation(prose)
        and not leans_on_links(prose)
        and all(block.language for block in section.blocks if block.kind == "code")
    )
