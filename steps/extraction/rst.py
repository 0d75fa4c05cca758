"""reStructuredText, parsed by docutils, as Markdown; Sphinx's roles keep their words, its directives their content."""

from __future__ import annotations

import re
from typing import Any

from steps.extraction.licences import licence_in
from steps.extraction.markdown import first_heading, sections
from steps.extraction.reasons import ExtractDrop, UnusableError
from steps.extraction.repairs import added, mend
from steps.extraction.rst_directives import register_unknown
from steps.extraction.text import Extracted, decode_counted

#: docutils reads no other file, runs no raw markup, and reports nothing: what it cannot parse stays as text.
_SETTINGS = {
    "file_insertion_enabled": False,
    "raw_enabled": False,
    "_disable_config": True,
    "halt_level": 5,
    "report_level": 5,
    "doctitle_xform": False,
    "docinfo_xform": False,
    "sectsubtitle_xform": False,
    "smart_quotes": False,
    "syntax_highlight": "none",
    "line_length_limit": 1_000_000,
}


def read_rst(content: bytes) -> Extracted:
    """Read reStructuredText as Markdown; the title is its first heading.

    Raises:
        UnusableError: if it is empty, binary, of no known encoding, `too_deep_markup`, or nothing but comments
            and directives (`no_text_in_file`).
    """
    from docutils.core import publish_doctree

    from steps.extraction.rst_markdown import render

    source, repairs = decode_counted(content)
    register_unknown(source)
    try:
        tree: Any = publish_doctree(_without_templates(source), settings_overrides=_SETTINGS)
        text, found = mend("\n\n".join(piece.text for piece in render(tree)))
    except RecursionError:
        raise UnusableError(ExtractDrop.TOO_DEEP_MARKUP, "nested deeper than Python's recursion limit") from None
    text = text.strip()
    if not text:
        raise UnusableError(ExtractDrop.NO_TEXT_IN_FILE, f"{len(source)} characters, but only comments and directives")
    return Extracted(text, first_heading(text), sections(text), licence_in(source), added([repairs, found]))


def _without_templates(source: str) -> str:
    """Take out the statements of Jinja, which autosummary's templates hold."""
    return re.sub(r"^\s*\{%.*?%\}\s*$", "", source, flags=re.MULTILINE)
