import pytest
from fpdf import FPDF
from PIL import Image

from steps.extraction.pdf import read_pdf
from steps.extraction.reasons import ExtractDrop, UnusableError

SENTENCE = "The cache cuts the latency of long requests by thirty percent as soon as the second request has come in."


def page(pages: int = 1) -> FPDF:
    document = FPDF()
    for _ in range(pages):
        document.add_page()
    document.set_font("Helvetica", size=11)
    return document


def picture() -> bytes:
    document = page()
    document.image(Image.new("L", (60, 60)), x=10, y=10, w=150)
    return bytes(document.output())


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
    assert (found.text, found.title) == (
        f"# Cache plan\n\n{SENTENCE}\n\nKey points:\n- {SENTENCE}\n- small",
        "Cache plan",
    )


def test_hyphen_of_the_margin_is_taken_out() -> None:
    document = page()
    for line in ("this line is as long as the margin of the whole page al-", "lows it to be"):
        document.cell(0, 6, line, new_x="LMARGIN", new_y="NEXT")
    document.cell(0, 20, "x" * 28)
    assert read_pdf(bytes(document.output())).text.startswith(
        "this line is as long as the margin of the whole page allows it to be"
    )


def test_lines_that_end_before_the_margin_stay_lines() -> None:
    assert read_pdf(
        pdf("Ann Miller, Head of the Cache Department", "12 Long Street in the old Town of Bern", SENTENCE)
    ).text == (f"Ann Miller, Head of the Cache Department\n12 Long Street in the old Town of Bern\n{SENTENCE}")


def test_pdf_that_opens_without_a_password_is_read() -> None:
    assert read_pdf(pdf("Open to all readers", password="")).text == "Open to all readers"


def test_larger_lines_are_headings_by_their_size() -> None:
    document = page()
    for size, line in ((20, "Guide"), (11, SENTENCE), (15, "First steps"), (11, SENTENCE)):
        document.set_font("Helvetica", size=size)
        document.multi_cell(0, size * 0.6, line, align="L", new_x="LMARGIN", new_y="NEXT")
    found = read_pdf(bytes(document.output()))
    assert found.text == f"# Guide\n\n{SENTENCE}\n\n## First steps\n\n{SENTENCE}"
    assert found.title == "Guide"


def test_two_columns_are_read_one_after_the_other_below_what_spans_them() -> None:
    document = page()
    document.cell(
        0,
        8,
        "A heading that spans both of the columns of this page, from the left to the right margin",
        new_x="LMARGIN",
        new_y="NEXT",
    )
    top = document.get_y()
    for column, word in enumerate(("left", "right")):
        for number in range(8):
            document.set_xy(10 + 100 * column, top + 6 * number)
            document.cell(90, 6, f"the {word} column goes on in line {number}")
    text = " ".join(read_pdf(bytes(document.output())).text.split())
    lefts = [text.index(f"left column goes on in line {number}") for number in range(8)]
    rights = [text.index(f"right column goes on in line {number}") for number in range(8)]
    assert text.startswith("A heading that spans both")
    assert [*lefts, *rights] == sorted([*lefts, *rights])


@pytest.mark.parametrize("borders", [1, 0])
def test_tables_with_and_without_rules_become_markdown(borders: int) -> None:
    document = page()
    document.multi_cell(0, 6, SENTENCE, align="L", new_x="LMARGIN", new_y="NEXT")
    document.ln(6)
    for row in (
        ("name", "size", "price"),
        ("disk", "2 TB", "90.00"),
        ("screen", "", "120.50"),
        ("cable", "6 ft", "4.99"),
    ):
        for cell in row:
            document.cell(40, 8, cell, border=borders)
        document.ln(8)
    assert read_pdf(bytes(document.output())).text.endswith(
        "| name | size | price |\n| --- | --- | --- |\n| disk | 2 TB | 90.00 |\n| screen |  | 120.50 |\n"
        "| cable | 6 ft | 4.99 |"
    )


def test_running_heads_and_page_numbers_are_left_out() -> None:
    document = page(pages=0)
    texts = [f"{SENTENCE} {word} of all." for word in ("The first", "A second one", "This is the last")]
    for number, text in enumerate(texts, start=1):
        document.add_page()
        document.cell(0, 6, f"The Cache Handbook, page {number}", new_x="LMARGIN", new_y="NEXT")
        document.ln(12)
        document.multi_cell(0, 6, text, align="L", new_x="LMARGIN", new_y="NEXT")
    found = read_pdf(bytes(document.output()))
    assert found.text == "\n\n".join(texts)
    assert [place.label for place in found.offset_map] == ["page 1", "page 2", "page 3"]
    assert all(found.text[place.start :].startswith(SENTENCE) for place in found.offset_map)


@pytest.mark.parametrize("angle", [90, 180, 270])
def test_turned_page_is_read_as_if_it_stood_upright(angle: int) -> None:
    document = page()
    with document.rotation(angle, x=100, y=150):
        document.text(60, 150, "The first line of the turned text")
        document.text(60, 158, "and the second line of it")
    assert read_pdf(bytes(document.output())).text.split("\n") == [
        "The first line of the turned text",
        "and the second line of it",
    ]


def test_pages_that_repeat_all_they_say_keep_it() -> None:
    document = page(pages=0)
    for _ in range(4):
        document.add_page()
        document.cell(0, 6, "Background")
    assert read_pdf(bytes(document.output())).text == "\n\n".join(["Background"] * 4)
    document = page(pages=0)
    for _ in range(3):
        document.add_page()
        for _ in range(12):
            document.cell(0, 6, "the same line", new_x="LMARGIN", new_y="NEXT")
    assert read_pdf(bytes(document.output())).text.count("the same line") == 3 * 8


def test_numbered_hanging_text_is_no_table() -> None:
    document = page()
    for number in range(1, 5):
        document.cell(25, 7, f"{number}.")
        document.cell(0, 7, f"a point that hangs behind its number {number}")
        document.ln(7)
    assert "|" not in read_pdf(bytes(document.output())).text


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (pdf("secret", password="key"), ExtractDrop.ENCRYPTED_PDF),
        (pdf(SENTENCE)[:400], ExtractDrop.BROKEN_PDF),
        (b"%PDF-1.4 and nothing else", ExtractDrop.BROKEN_PDF),
        (pdf(), ExtractDrop.NO_TEXT_IN_PDF),
        (picture(), ExtractDrop.SCANNED_PDF),
        (b"", ExtractDrop.EMPTY_FILE),
    ],
)
def test_unreadable_pdfs_are_told_apart(content: bytes, reason: ExtractDrop) -> None:
    with pytest.raises(UnusableError) as caught:
        read_pdf(content)
    assert caught.value.reason == reason
