"""Markdown: front matter and leading comments are split off, the title is found."""

from __future__ import annotations

import re

import yaml

from steps.extraction.reasons import ExtractDrop, UnusableError
from steps.extraction.text import Extracted, decode

_FRONT_MATTER = re.compile(r"\A(---|\+\+\+)[ \t]*\n(.*?)\n\1[ \t]*(?:\n|\Z)", re.DOTALL)
_COMMENT = re.compile(r"\A\s*<!--.*?-->", re.DOTALL)
_FENCE = re.compile(r"^ {0,3}(```+|~~~+)")
_ATX = re.compile(r"^ {0,3}#{1,6}[ \t]+(.*?)[ \t]*#*[ \t]*$")
_UNDERLINE = re.compile(r"^ {0,3}(=+|-+)[ \t]*$")
_TOML_TITLE = re.compile(r"^title\s*=\s*[\"'](.+)[\"']\s*$", re.MULTILINE)
#: Anchors that documentation generators read behind a heading: `[[name]]`, `{#name}`.
_ANCHOR = re.compile(r"\s*(\[\[.*?\]\]|\{#[^}]*\})\s*$")
#: Marks that wrap words: emphasis, code, links and images keep their words.
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_MARKS = re.compile(r"\*\*|__|`|(?<!\w)[*_]|[*_](?!\w)")


def read_markdown(content: bytes | str) -> Extracted:
    """Read Markdown: text without front matter, title from the front matter or else the first heading.

    Raises:
        UnusableError: if it is empty, binary, of no known encoding, or nothing but front matter.
    """
    text = decode(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content)
    title: str | None = None
    front = _FRONT_MATTER.match(text)
    if front:
        is_front_matter, title = _front_matter(front[1], front[2])
        if is_front_matter:
            text = text[front.end() :]
    while comment := _COMMENT.match(text):
        text = text[comment.end() :]
    text = text.strip()
    if not text:
        raise UnusableError(ExtractDrop.EMPTY_FILE, "front matter and comments, no text")
    return Extracted(text, title or first_heading(text))


def first_heading(text: str) -> str | None:
    r"""Return the words of the first heading outside of code fences.

    >>> first_heading("```\n# a comment\n```\n\n## The **right** `one` {#anchor}\n")
    'The right one'
    """
    fence = ""
    before = ""
    for line in text.split("\n"):
        mark = _FENCE.match(line)
        if fence:
            closes = mark and mark[1].startswith(fence) and not line.strip().strip(fence[0])
            fence = "" if closes else fence
        elif mark:
            fence = mark[1]
        elif heading := _ATX.match(line):
            if words := plain(heading[1]):
                return words
        elif before.strip() and not before.startswith((" ", "-", "*", ">", "|")) and _UNDERLINE.match(line):
            return plain(before)
        before = line
    return None


def plain(heading: str) -> str:
    """Return a heading's words without marks, links and anchors.

    >>> plain("Use the [`Trainer`](api.md) [[use-trainer]]")
    'Use the Trainer'
    """
    return _MARKS.sub("", _LINK.sub(r"\1", _ANCHOR.sub("", heading))).strip()


def _front_matter(fence: str, block: str) -> tuple[bool, str | None]:
    """Return whether the block is front matter rather than text between two rules, and its title."""
    if fence == "+++":
        found = _TOML_TITLE.search(block)
        return True, found[1] if found else None
    try:
        values = yaml.safe_load(block)
    except (yaml.YAMLError, ValueError):
        # Unquoted colons and template marks are common in front matter; text between two rules has no keys at all.
        return all(re.match(r"\s*[\w-]+:|\s|#|$|-|\{", line) for line in block.split("\n")), None
    if not isinstance(values, dict):
        return False, None
    title = values.get("title")
    return True, str(title).strip() or None if title is not None else None
