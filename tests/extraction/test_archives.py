import io
import zipfile

import pytest

from steps.extraction import archives
from steps.extraction.archives import open_archive, refuse_old_office, zip_format
from steps.extraction.reasons import ExtractDrop, UnusableError
from tests.extraction.office_files import archive, docx, epub, paragraph

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(64)


def test_archive_that_unpacks_to_too_much_is_a_bomb() -> None:
    bomb = archive(**{"word/document.xml": bytes(archives.HARMLESS_BYTES + 1)})
    with pytest.raises(UnusableError, match=r"20 MB unpacked from 0\.02 MB") as caught:
        open_archive(bomb, ExtractDrop.BROKEN_OFFICE_FILE)
    assert caught.value.reason == ExtractDrop.ARCHIVE_BOMB


def test_many_entries_are_a_bomb() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as written:
        for number in range(archives.MAX_ENTRIES + 1):
            written.writestr(str(number), b"")
    with pytest.raises(UnusableError) as caught:
        open_archive(stream.getvalue(), ExtractDrop.BROKEN_OFFICE_FILE)
    assert caught.value.reason == ExtractDrop.ARCHIVE_BOMB


def test_entry_that_unpacks_to_more_than_it_declares_is_broken() -> None:
    content = archive(part=b"x" * 5_000)
    lying = content.replace((5_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    with pytest.raises(UnusableError) as caught:
        archives.member(open_archive(lying, ExtractDrop.BROKEN_EPUB), "part", ExtractDrop.BROKEN_EPUB)
    assert caught.value.reason == ExtractDrop.BROKEN_EPUB


def test_container_is_told_by_its_parts() -> None:
    assert zip_format(docx(paragraph("x"))) == "docx"
    assert zip_format(epub(("a",), {"a": "<p>x</p>"})) == "epub"
    assert zip_format(archive(a="b")) is None


@pytest.mark.parametrize(
    ("stream", "reason", "said"),
    [
        ("WordDocument", ExtractDrop.OLD_OFFICE_FILE, "Word 97-2003"),
        ("Workbook", ExtractDrop.OLD_OFFICE_FILE, "Excel 97-2003"),
        ("__substg1.0_", ExtractDrop.OLD_OFFICE_FILE, "an Outlook message"),
        ("EncryptedPackage", ExtractDrop.ENCRYPTED_FILE, "an Office file with a password"),
    ],
)
def test_compound_files_are_told_apart(stream: str, reason: ExtractDrop, said: str) -> None:
    with pytest.raises(UnusableError, match=said) as caught:
        refuse_old_office(OLE + stream.encode("utf-16-le"))
    assert caught.value.reason == reason
