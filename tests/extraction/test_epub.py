import pytest

from steps.extraction.epub import read_epub
from steps.extraction.reasons import ExtractDrop, UnusableError
from tests.extraction.office_files import archive, epub

CHAPTERS = {"two": "<h1>Second</h1><p>Later.</p>", "one": "<nav>kept in books</nav><h1>First</h1><p>Begin.</p>"}
ENCRYPTION = (
    '<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container" xmlns:e="http://www.w3.org/2001/04/xmlenc#">'
    '<e:EncryptedData><e:CipherData><e:CipherReference URI="OEBPS/text/one.xhtml"/></e:CipherData></e:EncryptedData>'
    "</encryption>"
)


def test_chapters_stand_in_the_order_of_the_spine() -> None:
    found = read_epub(epub(("one", "two"), CHAPTERS, rights="https://creativecommons.org/licenses/by/4.0/"))
    assert found.text == "kept in books\n\n# First\n\nBegin.\n\n# Second\n\nLater."
    assert (found.title, found.licence) == ("The book", "CC-BY-4.0")
    assert [(place.label, found.text[place.start :][:4]) for place in found.offset_map] == [
        ("First", "kept"),
        ("Second", "# Se"),
    ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (archive(a="b"), ExtractDrop.BROKEN_EPUB),
        (epub((), CHAPTERS), ExtractDrop.BROKEN_EPUB),
        (epub(("one",), {"one": ""}), ExtractDrop.NO_TEXT_IN_FILE),
        (epub(("one",), CHAPTERS, **{"META-INF/encryption.xml": ENCRYPTION}), ExtractDrop.ENCRYPTED_FILE),
        (
            epub(("one",), CHAPTERS, **{"META-INF/encryption.xml": '<!DOCTYPE a [<!ENTITY a "b">]><a>&a;</a>'}),
            ExtractDrop.HOSTILE_XML,
        ),
    ],
)
def test_unusable_books_are_told_apart(content: bytes, reason: ExtractDrop) -> None:
    with pytest.raises(UnusableError) as caught:
        read_epub(content)
    assert caught.value.reason == reason
