"""Markdown: front matter and leading comments are split off, the title is found."""

from __future__ import annotations

import re
from collections.abc import Iterator

import yaml

from steps.extraction.licences import licence_in, licence_named
from steps.extraction.reasons import ExtractDrop, UnusableError
from steps.extraction.text import Extracted, Place, decode_counted

_FRONT_MATTER = re.compile(r"\A(---|\+\+\+)[ \t]*\n(.*?)\n\1[ \t]*(?:\n|\Z)", re.DOTALL)
_COMMENT = re.compile(r"\A\s*<!--.*?-->", re.DOTALL)
_FENCE = re.compile(r"^ {0,3}(```+|~~~+)")
_ATX = re.compile(r"^ {0,3}#{1,6}[ \t]+(.*?)[ \t]*#*[ \t]*$")
_UNDERLINE = re.compile(r"^ {0,3}(=+|-+)[ \t]*$")
_TOML_LICENCE = re.compile(r"^licen[cs]e\s*=\s*[\"'](.+)[\"']\s*$", re.MULTILINE)
_TOML_TITLE = re.compile(r"^title\s*=\s*[\"'](.+)[\"']\s*$", re.MULTILINE)
#: Anchors that documentation generators read behind a heading: `[[name]]`, `{#name}`.
_ANCHOR = re.compile(r"\s*(\[\[.*?\]\]|\{#[^}]*\})\s*$")
#: Longest label of a section, in characters.
MAX_LABEL_CHARACTERS = 120
#: Marks that wrap words: emphasis, code, links and images keep their words.
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_MARKS = re.compile(r"\*\*|__|`|(?<!\w)[*_]|[*_](?!\w)")


def read_markdown(content: bytes | str) -> Extracted:
    """Read Markdown: text without front matter, title from the front matter or else the first heading.

    Raises:
        UnusableError: if it is empty, binary, of no known encoding, or nothing but front matter.
    """
    decoded, repairs = decode_counted(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content)
    text, title, licence = split_front_matter(decoded)
    while comment := _COMMENT.match(text):
        text = text[comment.end() :]
    text = text.strip()
    if not text:
        raise UnusableError(ExtractDrop.EMPTY_FILE, "front matter and comments, no text")
    licence = licence or licence_in(decoded)
    return Extracted(text, title or first_heading(text), sections(text), licence, repairs)


def split_front_matter(text: str) -> tuple[str, str | None, str | None]:
    r"""Split front matter off; return the rest, and the title and the licence that the front matter names.

    >>> split_front_matter("---\ntitle: A\nlicense: mit\n---\nText")
    ('Text', 'A', 'MIT')
    """
    front = _FRONT_MATTER.match(text)
    if not front:
        return text, None, None
    is_front_matter, title, licence = _front_matter(front[1], front[2])
    return (text[front.end() :], title, licence) if is_front_matter else (text, None, None)


def sections(text: str) -> tuple[Place, ...]:
    r"""Return where the sections of a Markdown text begin: one place per heading outside of code fences.

    >>> sections("# A\n\ntext\n\n## B\n")
    (Place(start=0, label='A'), Place(start=11, label='B'))
    """
    return tuple(Place(start, words[:MAX_LABEL_CHARACTERS]) for start, words in _headings(text))


def first_heading(text: str) -> str | None:
    r"""Return the words of the first heading outside of code fences.

    >>> first_heading("```\n# a comment\n```\n\n## The **right** `one` {#anchor}\n")
    'The right one'
    """
    return next((words for _, words in _headings(text)), None)


def _headings(text: str) -> Iterator[tuple[int, str]]:
    """Yield where each heading outside of code fences begins, and its words."""
    fence = before = ""
    start = 0
    for line in text.split("\n"):
        mark = _FENCE.match(line)
        if fence:
            closes = mark and mark[1].startswith(fence) and not line.strip().strip(fence[0])
            fence = "" if closes else fence
        elif mark:
            fence = mark[1]
        elif heading := _ATX.match(line):
            if words := plain(heading[1]):
                yield start, words
        elif before.strip() and not before.startswith((" ", "-", "*", ">", "|")) and _UNDERLINE.match(line):
            yield start - len(before) - 1, plain(before)
        before = "" if fence else line
        start += len(line) + 1


def plain(heading: str) -> str:
    """Return a heading's words without marks, links and anchors.

    >>> plain("Use the [`Trainer`](api.md) [[use-trainer]]")
    'Use the Trainer'
    """
    return _MARKS.sub("", _LINK.sub(r"\1", _ANCHOR.sub("", heading))).strip()


def _front_matter(fence: str, block: str) -> tuple[bool, str | None, str | None]:
    """Return whether the block is front matter rather than text between two rules, its title and its licence."""
    if fence == "+++":
        found, licence = _TOML_TITLE.search(block), _TOML_LICENCE.search(block)
        return True, found[1] if found else None, licence_named(licence[1]) if licence else None
    try:
        values = yaml.safe_load(block)
    except (yaml.YAMLError, ValueError, RecursionError):
        # Unquoted colons and template marks are common in front matter; text between two rules has no keys at all.
        return all(re.match(r"\s*[\w-]+:|\s|#|$|-|\{", line) for line in block.split("\n")), None, None
    if not isinstance(values, dict):
        return False, None, None
    title = values.get("title")
    # A list as title could be an alias bomb, which is harmless until it is written out.
    title = str(title).strip() or None if isinstance(title, str | int | float) else None
    return True, title, licence_named(values.get("license") or values.get("licence"))
