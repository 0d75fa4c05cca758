import logging

import pytest
from fpdf import FPDF

from steps.extraction.pdf import read_pdf, unwrap
from steps.extraction.reasons import ExtractDrop, UnusableError

SENTENCE = "The cache cuts the latency of long requests by thirty percent as soon as the second request has come in."


def pdf(*lines: str, title: str = "", password: str | None = None) -> bytes:
    document = FPDF()
    document.set_title(title)
    if password is not None:
        document.set_encryption(owner_password="owner", user_password=password)
    document.add_page()
    document.set_font("Helvetica", size=11)
    for line in lines:
        document.multi_cell(0, 6, line, align="L", new_x="LMARGIN", new_y="NEXT")
    return bytes(document.output())


def test_wrapped_lines_are_joined_and_the_title_becomes_a_heading() -> None:
    found = read_pdf(pdf("Cache plan", SENTENCE, "Key points:", f"- {SENTENCE}", "- small", title="Cache plan"))
    assert found == (f"# Cache plan\n\n{SENTENCE}\n\nKey points:\n- {SENTENCE}\n- small", "Cache plan")


def test_hyphen_of_the_margin_is_taken_out() -> None:
    line = "this line is as long as the margin of the page al-"
    assert unwrap(f"{line}\nlows it to be") == "this line is as long as the margin of the page allows it to be"


def test_pdf_that_opens_without_a_password_is_read() -> None:
    assert read_pdf(pdf("Open to all readers", password="")).text == "Open to all readers"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (pdf("secret", password="key"), ExtractDrop.ENCRYPTED_PDF),
        (pdf(SENTENCE)[:400], ExtractDrop.BROKEN_PDF),
        (b"%PDF-1.4 and nothing else", ExtractDrop.BROKEN_PDF),
        (pdf(), ExtractDrop.NO_TEXT_IN_PDF),
        (b"", ExtractDrop.EMPTY_FILE),
    ],
)
def test_unreadable_pdfs_are_told_apart(content: bytes, reason: ExtractDrop) -> None:
    with pytest.raises(UnusableError) as caught:
        read_pdf(content)
    assert caught.value.reason == reason


def test_reading_leaves_the_log_level_of_pypdf_alone() -> None:
    level = logging.getLogger("pypdf").level
    read_pdf(pdf("text"))
    assert logging.getLogger("pypdf").level == level
