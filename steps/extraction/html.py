"""HTML: the main content as Markdown, without navigation and footers.

trafilatura says which words are content; the page's own elements, rendered by `html_markdown`, say how they are
structured (trafilatura's own Markdown loses code, table headers, nested lists and definition lists).
"""

from __future__ import annotations

import re
from typing import Any

from steps.extraction.html_markdown import is_hidden, to_markdown
from steps.extraction.markdown import first_heading, sections
from steps.extraction.reasons import ExtractDrop, UnusableError
from steps.extraction.repairs import Repairs, added, mend
from steps.extraction.text import Extracted, decode_counted

#: Bytes in which every HTML page shows its first tag, and its charset; a page without one is no HTML.
HEAD_BYTES = 4096
#: A container holds the content when this share of the content's characters is below it.
CONTAINER_SHARE = 0.9
#: A part of a page is boilerplate by its name unless this share of its characters is content.
CONTENT_SHARE = 0.3
#: Above this share of characters within links, a part that is no content is navigation.
LINK_SHARE = 0.5
#: Shorter texts are found in any page by chance.
MIN_EVIDENCE_CHARACTERS = 12
_CHARSET = re.compile(
    rb"<(?:meta[^>]{0,200}?charset|\?xml[^>]{0,100}?encoding)\s*=\s*[\"']?\s*([\w.:-]{2,40})", re.IGNORECASE
)
_ROLES = frozenset(("navigation", "banner", "contentinfo", "search", "complementary", "menu", "menubar", "dialog"))
_BOILERPLATE_TAGS = frozenset(("nav", "footer", "aside", "form", "menu"))
_BOILERPLATE = re.compile(
    r"(?:^|[\s_-])(nav|navbar|navbox|navigation|menu|menubar|sidebar|side-bar|breadcrumbs?|footer|cookies?|consent|banner|"
    r"share|sharing|social|related|recommended|newsletter|subscribe|promo|advert|ads?|sponsor|pagination|pager|toc|"
    r"headerlink|editsection|edit-link|skip|popup|modal|toolbar|noprint|metadata|catlinks|login|signup)(?=$|[\s_-])",
    re.IGNORECASE,
)
_TEXT_BLOCKS = (
    "p",
    "li",
    "td",
    "th",
    "pre",
    "dd",
    "dt",
    "blockquote",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "figcaption",
)
_NO_CONTENT = re.compile(r"[\W_]+")


def read_html(content: bytes) -> Extracted:
    """Read the main content of a page; its title is the first heading, or else the page's `<title>`.

    Raises:
        UnusableError: `empty_file`, `binary_file`, `too_deep_markup`, or `no_main_content` for a page of navigation,
            forms or scripts.
    """
    if not content.strip():
        raise UnusableError(ExtractDrop.EMPTY_FILE, f"{len(content)} bytes, no text")
    head = content[:HEAD_BYTES]
    if b"\x00" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UnusableError(ExtractDrop.BINARY_FILE, f"NUL byte at offset {head.index(0)}")
    markup, repairs = _decoded(content)
    root = parse(markup)
    title = _page_title(root)
    text, found = mend(_main_content(root) if root is not None else "")
    text = text.strip()
    if not text:
        raise UnusableError(
            ExtractDrop.NO_MAIN_CONTENT, f"{len(content)} bytes, but no paragraph, list or table of text"
        )
    return Extracted(text, first_heading(text) or title, sections(text), _licence(root), added([repairs, found]))


def read_fragment(markup: str | bytes) -> str:
    """Render all of a page or fragment as Markdown, without looking for its main content (books, Office files).

    Raises:
        UnusableError: `too_deep_markup`.
    """
    root = parse(markup if isinstance(markup, str) else _decoded(markup)[0])
    body = root.find("body") if root is not None else None
    return to_markdown(root if body is None else body) if root is not None else ""


def parse(markup: str) -> Any:
    """Parse a page into an lxml element, None if it holds no element; comments are left out."""
    from lxml import html

    parser = html.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True, no_network=True)
    try:
        return html.document_fromstring(markup.encode("utf-8", "replace"), parser=parser)
    except (html.etree.ParserError, ValueError):
        return None


def _decoded(content: bytes) -> tuple[str, Repairs]:
    """Decode by the charset that the page states if it is true, or else as any text."""
    stated = _CHARSET.search(content[:HEAD_BYTES])
    if stated and not content.startswith((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")):
        try:
            return mend(content.decode(stated[1].decode("ascii")))
        except (UnicodeDecodeError, LookupError):
            pass
    return decode_counted(content)


def _main_content(root: Any) -> str:
    body = root.find("body")
    body = root if body is None else body
    boilerplate = [
        element for element in body.iter() if isinstance(element.tag, str) and _looks_like_boilerplate(element)
    ]
    if not boilerplate:
        return to_markdown(body)
    evidence = _evidence(root)
    if not evidence:
        return _without_boilerplate(body, boilerplate)
    weights = _weights(body, evidence)
    if not weights.get(body):
        return _without_boilerplate(body, boilerplate)
    container = _container(body, weights)
    heading = _heading_above(body, container)
    _prune(container, weights)
    text = to_markdown(container)
    return f"# {heading}\n\n{text}" if heading and text else text


def _without_boilerplate(body: Any, boilerplate: list[Any]) -> str:
    """Render what is left when all that is named as boilerplate is gone."""
    for element in boilerplate:
        if element is not body and element.getparent() is not None:
            element.drop_tree()
    return to_markdown(body)


def _evidence(root: Any) -> str:
    """Return the letters and digits of what trafilatura takes for the main content."""
    from trafilatura import extract

    found = extract(root, output_format="txt", include_comments=False, include_tables=True, include_formatting=False)
    return _squeezed(found or "")


def _weights(body: Any, evidence: str) -> dict[Any, int]:
    """Return for each element how many characters of content are below it."""
    weights: dict[Any, int] = {}
    for block in body.iter(*_TEXT_BLOCKS):
        if next(block.iterdescendants(*_TEXT_BLOCKS), None) is not None:
            continue
        squeezed = _squeezed("".join(block.itertext()))
        if len(squeezed) < MIN_EVIDENCE_CHARACTERS or squeezed not in evidence:
            continue
        for element in (block, *block.iterancestors()):
            weights[element] = weights.get(element, 0) + len(squeezed)
            if element is body:
                break
    return weights


def _container(body: Any, weights: dict[Any, int]) -> Any:
    """Return the smallest element that still holds nearly all of the content."""
    container = body
    while True:
        inner = max(container, key=lambda child: weights.get(child, 0), default=None)
        if inner is None or weights.get(inner, 0) < CONTAINER_SHARE * weights[body] or inner.tag in _TEXT_BLOCKS:
            return container
        if inner.tag in ("ul", "ol", "table", "tbody", "dl"):
            return container
        container = inner


def _heading_above(body: Any, container: Any) -> str | None:
    """Return the page's `h1` if it stands outside of the container."""
    if next(container.iter("h1"), None) is not None:
        return None
    heading = next(body.iter("h1"), None)
    return " ".join("".join(heading.itertext()).split()) or None if heading is not None else None


def _prune(container: Any, weights: dict[Any, int]) -> None:
    """Take out of the container what is named as boilerplate, or made of links, and is no content."""
    for element in list(container.iter()):
        if element is container or not isinstance(element.tag, str) or element.getparent() is None:
            continue
        size = len(_squeezed("".join(element.itertext())))
        share = weights.get(element, 0) / size if size else 0.0
        if share < CONTENT_SHARE and (_looks_like_boilerplate(element) or _is_navigation(element, size)):
            element.drop_tree()


def _is_navigation(element: Any, size: int) -> bool:
    if element.tag not in ("div", "ul", "ol", "section", "table", "header", "dl") or not size:
        return False
    if next(element.iterancestors("td", "th"), None) is not None:  # a list of links is what some cells of data hold
        return False
    if element.tag == "table" and next(element.iter("th"), None) is not None:
        return False
    links = sum(len(_squeezed("".join(link.itertext()))) for link in element.iter("a"))
    return links > LINK_SHARE * size and len(list(element.iter("a"))) > 2


def _looks_like_boilerplate(element: Any) -> bool:
    if element.tag in ("body", "html", "main", "article", "head") or is_hidden(element):
        return False
    if element.tag in _BOILERPLATE_TAGS or (element.get("role") or "") in _ROLES:
        return True
    names = f"{element.get('class') or ''} {element.get('id') or ''}"
    return names != " " and _BOILERPLATE.search(names) is not None


def _page_title(root: Any) -> str | None:
    title = root.find("head/title") if root is not None else None
    words = " ".join("".join(title.itertext()).split()) if title is not None else ""
    return mend(words)[0] or None


def _licence(root: Any) -> str | None:
    """Return the licence that the page links with `rel="license"`."""
    from steps.extraction.licences import licence_of_address

    for link in root.iter("a", "link") if root is not None else ():
        if "license" in (link.get("rel") or "").split():
            return licence_of_address(link.get("href") or "")
    return None


def _squeezed(text: str) -> str:
    return _NO_CONTENT.sub("", text)
