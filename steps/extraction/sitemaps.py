"""Sitemaps: XML lists of pages or of more sitemaps, packed or not, and plain lists of addresses."""

from __future__ import annotations

import zlib
from typing import NamedTuple

from steps.extraction.reasons import ExtractDrop, UnusableError

#: The protocol allows 50 MB and 50,000 addresses a file, unpacked (sitemaps.org/protocol.html).
MAX_BYTES = 50 << 20
_GZIP_MARK = b"\x1f\x8b"


class Sitemap(NamedTuple):
    """Addresses of pages, and of further sitemaps."""

    pages: tuple[str, ...]
    sitemaps: tuple[str, ...]


def parse_sitemap(content: bytes) -> Sitemap:
    """Read a sitemap.

    Raises:
        UnusableError: `broken_archive`, `too_large_file`, or `invalid_xml` for what is neither XML nor addresses.
    """
    from lxml import etree

    content = unpacked(content, MAX_BYTES) if content.startswith(_GZIP_MARK) else content
    lines = content.decode("utf-8", "replace").split()
    if lines and all(line.startswith(("http://", "https://")) for line in lines):
        return Sitemap(tuple(lines), ())
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(content, parser)
    except etree.XMLSyntaxError as error:
        raise UnusableError(ExtractDrop.INVALID_XML, str(error)[:200]) from None
    pages = tuple(_texts(root, "url"))
    sitemaps = tuple(_texts(root, "sitemap"))
    if not pages and not sitemaps:
        raise UnusableError(ExtractDrop.INVALID_XML, f"<{etree.QName(root).localname}> holds neither url nor sitemap")
    return Sitemap(pages, sitemaps)


def unpacked(content: bytes, max_bytes: int) -> bytes:
    """Unpack gzip or zlib data up to a bound.

    Raises:
        UnusableError: `broken_archive` or `too_large_file`.
    """
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    try:
        found = unpacker.decompress(content, max_bytes + 1)
    except zlib.error as error:
        raise UnusableError(ExtractDrop.BROKEN_ARCHIVE, str(error)) from None
    if len(found) > max_bytes:
        raise UnusableError(ExtractDrop.TOO_LARGE_FILE, f"unpacks to more than {max_bytes / 1e6:g} MB")
    if not unpacker.eof:
        raise UnusableError(ExtractDrop.BROKEN_ARCHIVE, "the packed data end early")
    return found


def _texts(root: object, parent: str) -> list[str]:
    """Return the text of every `loc` directly below a `parent`, whatever the namespace."""
    found = root.iterfind(f"{{*}}{parent}/{{*}}loc")  # type: ignore[attr-defined]
    return [place.text.strip() for place in found if place.text and place.text.strip()]
