"""EPUB: the chapters in the order of the book's spine, each as Markdown; navigation and covers carry no text."""

from __future__ import annotations

import posixpath
from typing import Any
from urllib.parse import unquote
from zipfile import ZipFile

from steps.extraction.archives import member, open_archive
from steps.extraction.html import read_fragment
from steps.extraction.licences import licence_named, licence_of_address
from steps.extraction.markdown import first_heading
from steps.extraction.office import xml
from steps.extraction.parts import assemble
from steps.extraction.reasons import ExtractDrop, UnusableError
from steps.extraction.text import Extracted

_CONTAINER = "{urn:oasis:names:tc:opendocument:xmlns:container}"
_OPF = "{http://www.idpf.org/2007/opf}"
_DC = "{http://purl.org/dc/elements/1.1/}"
_CHAPTER_TYPES = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml")


def read_epub(content: bytes) -> Extracted:
    """Read a book; a part of its offset map is a chapter, named by its first heading or else its file.

    Raises:
        UnusableError: `broken_epub`, `encrypted_file` (a book with copy protection), `no_text_in_file`,
            `archive_bomb`, `hostile_xml`.
    """
    archive = open_archive(content, ExtractDrop.BROKEN_EPUB)
    container = _xml(archive, "META-INF/container.xml")
    root_file = container.find(f".//{_CONTAINER}rootfile")
    path = root_file.get("full-path") if root_file is not None else None
    if not path:
        raise UnusableError(ExtractDrop.BROKEN_EPUB, "META-INF/container.xml names no package")
    package = _xml(archive, path)
    chapters = _chapters(package, posixpath.dirname(path))
    protected = _protected(archive)
    if any(name in protected for name in chapters):
        raise UnusableError(ExtractDrop.ENCRYPTED_FILE, "the book's chapters are encrypted (copy protection)")
    parts = []
    for name in chapters:
        text = read_fragment(member(archive, name, ExtractDrop.BROKEN_EPUB))
        parts.append((first_heading(text) or posixpath.basename(name), text))
    title, rights = (package.find(f".//{_DC}{name}") for name in ("title", "rights"))
    read = assemble(
        parts,
        title.text if title is not None else None,
        ExtractDrop.NO_TEXT_IN_FILE,
        f"{len(parts)} chapters without text",
    )
    words = (rights.text or "").strip() if rights is not None else ""
    return read._replace(licence=licence_of_address(words) or licence_named(words))


def _chapters(package: Any, folder: str) -> list[str]:
    """Return the names of the spine's entries in the container, without the navigation document."""
    items = {}
    for item in package.iter(f"{_OPF}item"):
        is_navigation = "nav" in (item.get("properties") or "").split()
        if item.get("media-type") in _CHAPTER_TYPES and item.get("href") and not is_navigation:
            items[item.get("id")] = posixpath.normpath(posixpath.join(folder, unquote(item.get("href").split("#")[0])))
    spine = [items[ref.get("idref")] for ref in package.iter(f"{_OPF}itemref") if ref.get("idref") in items]
    if not spine:
        raise UnusableError(ExtractDrop.BROKEN_EPUB, "the package's spine names no chapter")
    return list(dict.fromkeys(spine))


def _protected(archive: ZipFile) -> set[str]:
    if "META-INF/encryption.xml" not in archive.namelist():
        return set()
    references = _xml(archive, "META-INF/encryption.xml").iter("{http://www.w3.org/2001/04/xmlenc#}CipherReference")
    return {unquote(reference.get("URI") or "") for reference in references}


def _xml(archive: ZipFile, name: str) -> Any:
    content = member(archive, name, ExtractDrop.BROKEN_EPUB)
    if b"<!ENTITY" in content:
        raise UnusableError(ExtractDrop.HOSTILE_XML, f"{name} declares entities")
    try:
        return xml(content)
    except UnusableError as error:
        raise UnusableError(ExtractDrop.BROKEN_EPUB, f"{name}: {error.detail}") from None
