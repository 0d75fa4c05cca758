import pytest

from steps.extraction.reasons import ExtractDrop, UnusableError
from steps.extraction.text import decode, read_text, repair


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"])
def test_text_is_decoded_whatever_its_encoding(encoding: str) -> None:
    text = "Die Prüfung ergab größere Abweichungen, als wir für möglich hielten. Später müssen wir darüber reden."
    assert decode(text.encode(encoding)) == text


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark_is_recognised(encoding: str) -> None:
    assert decode("Später reden wir.".encode(encoding)) == "Später reden wir."


def test_repair_removes_control_characters_and_nothing_else() -> None:
    assert repair("\ufeffa\x00b\r\nc\rd\te\x1f\x9b f\u00a0g") == "ab\nc\nd\te f\u00a0g"


def test_repair_composes_characters_and_replaces_halves_of_pairs() -> None:
    assert repair("e\u0301 \ud800") == "é \ufffd"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", ExtractDrop.EMPTY_FILE),
        (b" \n\t\n", ExtractDrop.EMPTY_FILE),
        (b"\xef\xbb\xbf", ExtractDrop.EMPTY_FILE),
        (b"\x89PNG\r\n\x1a\n\x00\x00", ExtractDrop.BINARY_FILE),
        (bytes(range(1, 32)) * 4, ExtractDrop.BINARY_FILE),
        (b"\xff\xfea", ExtractDrop.UNKNOWN_ENCODING),
    ],
)
def test_what_is_no_text_has_a_reason(content: bytes, reason: ExtractDrop) -> None:
    with pytest.raises(UnusableError) as caught:
        decode(content)
    assert caught.value.reason == reason


def test_first_line_that_stands_alone_is_the_title() -> None:
    assert read_text(b"Release plan\n\nWe ship.").title == "Release plan"
    assert read_text(b"Release plan\n============\n\nWe ship.").title == "Release plan"


@pytest.mark.parametrize("text", [b"We ship on Monday.\n\nMore.", b"One line\nand the next", b"- a list\n\nMore"])
def test_first_line_of_prose_or_a_list_is_no_title(text: bytes) -> None:
    assert read_text(text).title is None
