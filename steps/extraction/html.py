"""HTML: the main content as Markdown, without navigation and footers."""

from __future__ import annotations

from steps.extraction.markdown import first_heading
from steps.extraction.reasons import ExtractDrop, UnusableError
from steps.extraction.text import Extracted, repair

#: Bytes in which every HTML page shows its first tag; a page without one is no HTML.
HEAD_BYTES = 4096


def read_html(content: bytes) -> Extracted:
    """Read the main content of a page; its title is the first heading, or else the page's `<title>`.

    Raises:
        UnusableError: `empty_file`, `binary_file`, or `no_main_content` for a page of navigation, forms or scripts.
    """
    from trafilatura import extract

    if not content.strip():
        raise UnusableError(ExtractDrop.EMPTY_FILE, f"{len(content)} bytes, no text")
    head = content[:HEAD_BYTES]
    if b"\x00" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UnusableError(ExtractDrop.BINARY_FILE, f"NUL byte at offset {head.index(0)}")
    text = repair(
        extract(content, output_format="markdown", include_comments=False, include_formatting=True, include_tables=True)
        or ""
    ).strip()
    if not text:
        raise UnusableError(
            ExtractDrop.NO_MAIN_CONTENT, f"{len(content)} bytes, but no paragraph, list or table of text"
        )
    return Extracted(text, first_heading(text) or _page_title(content))


def _page_title(content: bytes) -> str | None:
    from trafilatura import extract_metadata

    found = extract_metadata(content)
    return repair(found.title).strip() or None if found is not None and found.title else None
