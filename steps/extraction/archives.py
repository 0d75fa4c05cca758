"""Zip containers (Office, EPUB) opened with bounds: what a file unpacks to is known before anything is unpacked."""

from __future__ import annotations

import io
import zipfile

from steps.extraction.reasons import ExtractDrop, UnusableError

#: Entries of a container; a book of a thousand chapters with pictures stays below.
MAX_ENTRIES = 20_000
#: Bytes that all entries may unpack to. Office files of the size limit (50 MB packed) stay below.
MAX_UNPACKED_BYTES = 512_000_000
#: Unpacked over packed bytes. Deflate reaches 1,032 at most; text and XML pack 3 to 20 times, sparse sheets up to 100.
MAX_RATIO = 200
#: Containers that unpack to less than this are harmless at any ratio.
HARMLESS_BYTES = 20_000_000
#: What no Office part needs, and what entity bombs are made of.
_ENTITY = (b"<!ENTITY", "<!ENTITY".encode("utf-16-le"), "<!ENTITY".encode("utf-16-be"))
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
#: Names of streams in old Office files, as UTF-16, and what such a file is.
_OLE_KINDS = (
    ("EncryptedPackage", "an Office file with a password"),
    ("__substg1.0_", "an Outlook message"),
    ("WordDocument", "Word 97-2003"),
    ("Workbook", "Excel 97-2003"),
    ("PowerPoint Document", "PowerPoint 97-2003"),
    ("Book", "Excel 5"),
)


def open_archive(content: bytes, broken: ExtractDrop) -> zipfile.ZipFile:
    """Open a container after checking its sizes; entries never unpack to more than they declare.

    Raises:
        UnusableError: `archive_bomb`, `encrypted_file`, or `broken` if it is no zip file.
    """
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
        entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError, UnicodeDecodeError, OSError) as error:
        raise UnusableError(broken, f"no readable zip container: {error}"[:200]) from None
    unpacked = sum(entry.file_size for entry in entries)
    too_much = unpacked > MAX_UNPACKED_BYTES or (
        unpacked > HARMLESS_BYTES and unpacked > MAX_RATIO * max(1, len(content))
    )
    if too_much or len(entries) > MAX_ENTRIES:
        raise UnusableError(
            ExtractDrop.ARCHIVE_BOMB,
            f"{len(entries)} entries, {unpacked / 1e6:.0f} MB unpacked from {len(content) / 1e6:.2f} MB; "
            f"at most {MAX_ENTRIES} entries, {MAX_UNPACKED_BYTES / 1e6:.0f} MB and {MAX_RATIO}-fold",
        )
    if any(entry.flag_bits & 0x1 for entry in entries):
        raise UnusableError(ExtractDrop.ENCRYPTED_FILE, "entries of the container are encrypted")
    return archive


def refuse_entities(archive: zipfile.ZipFile, broken: ExtractDrop) -> None:
    """Refuse Office containers whose XML declares entities: no Office program writes them, entity bombs need them.

    Raises:
        UnusableError: `hostile_xml`, or `broken` if an entry cannot be unpacked.
    """
    for entry in archive.infolist():
        if entry.filename.endswith((".xml", ".rels", ".vml")):
            part = member(archive, entry.filename, broken)
            if any(mark in part for mark in _ENTITY):
                raise UnusableError(ExtractDrop.HOSTILE_XML, f"{entry.filename} declares entities")


def member(archive: zipfile.ZipFile, name: str, broken: ExtractDrop) -> bytes:
    """Return an unpacked entry.

    Raises:
        UnusableError: `broken` if it is missing or damaged.
    """
    try:
        return archive.read(name)
    except KeyError:
        raise UnusableError(broken, f"the container lacks {name}") from None
    except Exception as error:  # zlib.error, BadZipFile, EOFError, NotImplementedError: a damaged entry
        raise UnusableError(broken, f"{name}: {type(error).__name__}: {error}"[:200]) from None


def zip_format(content: bytes) -> str | None:
    """Return the format of a zip container by its entries: docx, pptx, xlsx, epub; none for any other archive.

    Raises:
        UnusableError: if it is broken, a bomb or encrypted.
    """
    names = set(open_archive(content, ExtractDrop.BROKEN_ARCHIVE).namelist())
    if "word/document.xml" in names:
        return "docx"
    if "ppt/presentation.xml" in names:
        return "pptx"
    if {"xl/workbook.xml", "xl/workbook.bin"} & names:
        return "xlsx"
    return "epub" if "META-INF/container.xml" in names else None


def refuse_old_office(content: bytes) -> None:
    """Refuse the compound files of old Office versions, and Office files with a password, which look the same.

    Raises:
        UnusableError: `old_office_file` or `encrypted_file`.
    """
    if not content.startswith(_OLE):
        return
    kind = next((said for name, said in _OLE_KINDS if name.encode("utf-16-le") in content), "a compound file")
    if kind == _OLE_KINDS[0][1]:
        raise UnusableError(ExtractDrop.ENCRYPTED_FILE, f"{kind}; save it without one")
    raise UnusableError(
        ExtractDrop.OLD_OFFICE_FILE, f"{kind}; save it as DOCX, XLSX, PPTX or PDF, or a message as text"
    )
