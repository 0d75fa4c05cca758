"""Kind `definition`: "X is a …" under a heading X, or of a term that the text marks."""

from __future__ import annotations

import re
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
from steps.synthesis.sentences import sentence_spans
from steps.synthesis.structure import Block, Section

KIND = "definition"
SINGULAR = ("What is {term}?", "Define {term}.", "What is meant by {term}?", "Explain briefly what {term} is.")
PLURAL = ("What are {term}?", "Define {term}.", "What is meant by {term}?", "Explain briefly what {term} are.")
_SUBJECT = r"(?:The |An? )?(?:\[)?(?P<mark>\*\*|__|`)?(?P<term>[^*`\n.,:;!?|\]\[]{2,60}?)(?P=mark)?"
_DEFINITION = re.compile(
    _SUBJECT.replace("(?P=mark)?", r"(?(mark)(?P=mark))")
    + r"(?:\]\([^)]*\))?(?: \([^)]{1,40}\))? (?P<verb>is|are) (?:an?|the|one of|any|simply|defined as)\b"
)
_NO_TERM = re.compile(
    r"(?:this|that|these|those|it|there|here|what|which|he|she|we|you|they|each|every|all|both|another|other|one|"
    r"following|first|second|third|next|last|main|only|default|goal|idea|aim|result|output|example|below)\b",
    re.IGNORECASE,
)
MAX_TERM_WORDS = 5
MIN_WORDS, MAX_WORDS = 8, 120
#: The sentences of an answer: the definition, and what goes on to explain it.
MAX_SENTENCES = 3


def definition_pairs(document: Document) -> Iterator[Pair]:
    """Yield a pair per paragraph that begins with a definition."""
    for section in readable_sections(document):
        for block in section.blocks:
            if block.kind == "paragraph":
                yield from _pair(document, section, block)


def _pair(document: Document, section: Section, block: Block) -> Iterator[Pair]:
    source = document.text[block.start : block.end]
    found = _DEFINITION.match(source)
    if not found or _NO_TERM.match(found["term"]) or n_words(found["term"]) > MAX_TERM_WORDS:
        return
    names = {section.name.casefold(), document.title.casefold()}
    if not found["mark"] and found["term"].casefold() not in names:
        return
    answer = _answer(source)
    end = block.start + len(answer)
    answer = " ".join(clean(answer).split())
    if not MIN_WORDS <= n_words(answer) <= MAX_WORDS or not answer.endswith((".", "!", "?", ")")):
        return
    if has_machine_markup(answer) or is_navigation(answer):
        return
    phrasings = SINGULAR if found["verb"] == "is" else PLURAL
    prompt = document.choose(phrasings, KIND, block.start).format(term=_term(document, found))
    yield Pair(KIND, prompt, answer, block.start, end)


def _term(document: Document, found: re.Match[str]) -> str:
    """Return the term, with the document's title behind it where it is not the title itself."""
    term = found["term"].strip()
    shown = f"`{term}`" if found["mark"] == "`" else term
    title = document.title
    return shown if not title or term.casefold() in title.casefold() else f"{shown} (in the context of {title})"


def _answer(source: str) -> str:
    """Return the first sentences of a paragraph, without a last one that leads to what is not there."""
    spans = list(sentence_spans(source))[:MAX_SENTENCES]
    while len(spans) > 1 and not source[: spans[-1][1]].endswith((".", "!", "?", ")")):
        spans.pop()
    return source[: spans[-1][1]]
