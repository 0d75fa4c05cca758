"""What every kind of pair has in common: the document it is made of, the pair itself, and how topics are named."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from random import Random
from typing import NamedTuple

from steps.extraction.markdown import plain
from steps.synthesis.structure import Section, normalise, parse_sections

#: Headings of parts that lead elsewhere or keep records, and say nothing of their own.
NAVIGATION = re.compile(
    r"(?:table of )?contents?|toc|index|navigation|see also|related\b.*|(?:further|additional) (?:reading|resources)|"
    r"(?:useful |external |quick )?links|resources|references?|bibliography|citations?|citing\b.*|footnotes|"
    r"licen[cs]e|licen[cs]ing|copyright|contribut(?:e|ing|ors)|acknowledge?ments?|authors?|credits|maintainers|"
    r"change ?log|release notes|checklist|next steps|what'?s next\??|where to go next|learn more|more information|"
    r"tags|groups.*|tasks|papers?|sponsors|badges|support|community|get(?:ting)? help|contact|todo|"
    r"document(?:ation)? (?:index|map)|new in .*|changed|added|removed|fixed|v?\d+(?:\.\d+)+.*",
    re.IGNORECASE,
)
#: Headings that name a part of any document; they need the document's title to mean something.
GENERIC = re.compile(
    r"overview|introduction|usage|basic usage|example|examples|example usage|installation|install|setup|"
    r"getting started|quick ?start|prerequisites|requirements|configuration|options|parameters|arguments|notes?|tips|"
    r"features|summary|background|description|details|results|conclusion|training|inference|evaluation|limitations|"
    r"faq|troubleshooting|basics|testing|tests|architecture|api|methods?|motivation|goals?|how it works|readme|"
    r"step \d+.*|\d+|part \d+.*|problem|solution|default|output|input|steps|why|about|main features|"
    r"(?:use|common) cases?",
    re.IGNORECASE,
)
#: Markup that only a documentation generator understands: JSX tags, directives, roles, template marks, raw HTML. What
#: stood in backquotes is gone before it is searched, so a role shows as `:ref:` or `{py:class}`, a link of rst as `_`.
MACHINE_MARKUP = re.compile(
    r"</?[A-Za-z][\w.-]*(?:\s[^<>\n]*)?/?>|<!--|\[\[\w+|\{\{|\{%|^\s*:::|(?:^|\s)\.\. \w[\w:-]*::|"
    r"(?<!\w):[a-z]\w*:(?!\w)|(?:^|\s)__?(?=[\s.,;:)])|\{\w+:\w+\}|"
    r"^\s*=== \"|^\s*!!! |^\s*\?\?\? |\[!\w+\]|^\s*(?:import|export) .* from ",
    re.MULTILINE,
)
_CODE = re.compile(r"```.*?```|~~~.*?~~~|``.*?``|`[^`\n]*`", re.DOTALL)
#: Images, and the empty links that are left where an image was the link.
_IMAGE = re.compile(r"!\[[^\]]*\]\([^)]*\)\s?")
_EMPTY_LINK = re.compile(r"(?<!!)\[\s*\]\([^)]*\)\s?")
#: A link within the documentation leads nowhere from an answer: only its words are kept.
_LOCAL_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!https?://|mailto:)[^)\s]*(?:\s\"[^\"]*\")?\)")
_SENDS_ON = re.compile(
    r"\b(?:see|refer to|read (?:more|about|on)|check(?: out)?|visit|consult|follow)\b[^.\n]{0,60}\[[^\]]+\](?:\((?!https?://)|\[)",
    re.IGNORECASE,
)
_REFERENCE_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\[[^\]]*\]")
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)|<?https?://[^\s>)]+>?")
_NUMBER = re.compile(r"^(?:[^\w`.@$<\"'(\[#/-]+|\d+(?:\.\d+)+[.):]?\s+|\d+[.):]\s+)+")
_WORD = re.compile(r"\w+")
#: Share of a text's words inside links above which it is navigation.
MAX_LINK_SHARE = 0.5
#: How much of a passage decides how it is asked about, in characters.
PHRASED_BY_CHARACTERS = 60
#: What a bare address weighs there.
BARE_LINK_WORDS = 3


class Pair(NamedTuple):
    """A grounded pair: the answer says what `document.text[start:end]` says."""

    kind: str
    prompt: str
    answer: str
    start: int
    end: int


class Document:
    """A document, parsed once for all kinds."""

    def __init__(self, text: str, title: str | None, format_name: str, seed: int) -> None:
        self.text = normalise(text, format_name)
        self.title = strip_number(plain(title)) if title else ""
        self.seed = seed

    @cached_property
    def sections(self) -> tuple[Section, ...]:
        """The document's sections, in order."""
        return parse_sections(self.text)

    def choose(self, phrasings: Sequence[str], kind: str, start: int) -> str:
        """Choose a phrasing by the passage that begins at `start`.

        Two copies of a passage are asked about in the same words: otherwise they would no longer look like duplicates.
        """
        return Random(f"{self.seed} {kind} {self.text[start : start + PHRASED_BY_CHARACTERS]}").choice(phrasings)

    def topic(self, section: Section) -> str | None:
        """Name what a section is about, e.g. `"Installation" (TRL)`; None if its heading alone would say nothing."""
        name = strip_number(section.name)
        around = [strip_number(head.text) for head in section.parents if not _same(strip_number(head.text), self.title)]
        title = "" if GENERIC.fullmatch(self.title) else self.title
        where = [part for part in (title, *around[-1:]) if part and not _same(part, name)]
        if not name or _same(name, title):
            return f'"{title}"' if title else None
        if not where:
            return None if GENERIC.fullmatch(name) else f'"{name}"'
        return f'"{name}" ({", ".join(where)})'


def readable_sections(document: Document) -> list[Section]:
    """Return the sections that can be asked about: no navigation, neither by their heading nor by one above."""
    return [
        section
        for section in document.sections
        if not any(
            NAVIGATION.fullmatch(strip_number(head.text)) for head in (*section.parents, section.heading) if head
        )
    ]


def strip_number(heading: str) -> str:
    """Return a heading without its number, its final marks and its emoji.

    >>> strip_number("2.1. See also:"), strip_number("📚 Resources")
    ('See also', 'Resources')
    """
    return _NUMBER.sub("", heading).rstrip(" :.!").strip()


def clean(source: str) -> str:
    """Return a passage fit for an answer: without images, links within the documentation reduced to their words."""
    parts = []
    end = 0
    for code in _CODE.finditer(source):
        parts += [_clean_prose(source[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*parts, _clean_prose(source[end:])]).strip()


def _clean_prose(source: str) -> str:
    source = _EMPTY_LINK.sub("", _IMAGE.sub("", source))
    return _REFERENCE_LINK.sub(r"\1", _LOCAL_LINK.sub(r"\1", source))


def has_machine_markup(source: str) -> bool:
    """Return whether the passage holds markup that only a documentation generator understands, outside of code."""
    return MACHINE_MARKUP.search(_CODE.sub("", source)) is not None


def leans_on_links(source: str) -> bool:
    """Return whether the passage sends the reader to another page of the documentation for what it leaves out."""
    return _SENDS_ON.search(_CODE.sub("", source)) is not None


def is_navigation(source: str) -> bool:
    """Return whether most words of the passage are the words of links."""
    linked = [BARE_LINK_WORDS if found[1] is None else n_words(found[1]) for found in _LINK.finditer(source)]
    return sum(linked) > MAX_LINK_SHARE * (n_words(_LINK.sub("", source)) + sum(linked))


def n_words(text: str) -> int:
    """Count the words of a text."""
    return len(_WORD.findall(text))


def _same(left: str, right: str) -> bool:
    return left.casefold().strip() == right.casefold().strip()
