import io
from datetime import datetime

import openpyxl
import pytest
from openpyxl import Workbook
from pptx import Presentation
from pptx.util import Inches

from steps.extraction.docx import read_docx
from steps.extraction.pptx import read_pptx
from steps.extraction.reasons import ExtractDrop, UnusableError
from steps.extraction.xlsx import MAX_ROWS, read_xlsx
from tests.extraction.office_files import docx, item, paragraph, table

FORMULA = (
    "<w:p><w:r><w:t>For </w:t></w:r><m:oMath><m:f><m:num><m:r><m:t>a</m:t></m:r></m:num><m:den><m:sSup><m:e><m:r><m:t>b"
    "</m:t></m:r></m:e><m:sup><m:r><m:t>2</m:t></m:r></m:sup></m:sSup></m:den></m:f></m:oMath></w:p>"
)


def saved(thing: object) -> bytes:
    stream = io.BytesIO()
    thing.save(stream)  # type: ignore[attr-defined]
    return stream.getvalue()


def deck() -> bytes:
    slides = Presentation()
    slide = slides.slides.add_slide(slides.slide_layouts[1])
    slide.shapes.title.text = "The plan"
    frame = slide.placeholders[1].text_frame
    frame.text = "first"
    nested = frame.add_paragraph()
    nested.text, nested.level = "nested", 1
    slide.notes_slide.notes_text_frame.text = "Say hello."
    slide = slides.slides.add_slide(slides.slide_layouts[5])
    slide.shapes.title.text = "Numbers"
    grid = slide.shapes.add_table(2, 2, Inches(1), Inches(2), Inches(4), Inches(1)).table
    for row, column, text in ((0, 0, "a"), (0, 1, "b"), (1, 0, "1"), (1, 1, "2|3")):
        grid.cell(row, column).text = text
    return saved(slides)


def test_word_document_keeps_headings_lists_tables_and_formulas() -> None:
    body = paragraph("Guide", "Heading1") + paragraph("Intro.") + item("one") + item("two")
    body += paragraph("Values", "Heading2") + table(("a", "b"), ("1", "2")) + FORMULA
    found = read_docx(docx(body))
    assert found.title == "Guide"
    assert found.text == (
        "# Guide\n\nIntro.\n\n- one\n- two\n\n## Values\n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n\n"
        "For $\\frac{a}{b^{2}}$"
    )
    assert [place.label for place in found.offset_map] == ["Guide", "Values"]
    assert all(found.text[place.start :].startswith("#") for place in found.offset_map)


def test_slides_are_headings_with_bullets_notes_and_tables() -> None:
    found = read_pptx(deck())
    assert found.title == "The plan"
    assert found.text == (
        "## The plan\n\n- first\n  - nested\n\nNotes: Say hello.\n\n"
        "## Numbers\n\n| a | b |\n| --- | --- |\n| 1 | 2\\|3 |"
    )
    assert [found.text[place.start :].split("\n")[0] for place in found.offset_map] == ["## The plan", "## Numbers"]
    assert [place.label for place in found.offset_map] == ["slide 1", "slide 2"]


def test_sheets_are_tables_with_dates_numbers_and_cached_values() -> None:
    book = Workbook()
    sheet = book.active
    sheet.title = "Sales"
    sheet.append(["day", None, "sum"])
    sheet.append([datetime(2024, 5, 1), None, 2.50])
    sheet.append([datetime(2024, 5, 2, 13, 30), None, 3])
    book.create_sheet("Empty")
    found = read_xlsx(saved(book))
    assert found.text == ("## Sales\n\n| day | sum |\n| --- | --- |\n| 2024-05-01 | 2.5 |\n| 2024-05-02 13:30 | 3 |")
    assert [place.label for place in found.offset_map] == ["sheet Sales"]


def test_sheet_that_is_data_is_refused_with_the_way_to_read_it() -> None:
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("Log")
    for number in range(MAX_ROWS + 1):
        sheet.append([number])
    with pytest.raises(UnusableError, match="read it as a dataset") as caught:
        read_xlsx(saved(book))
    assert caught.value.reason == ExtractDrop.TOO_LARGE_TEXT


@pytest.mark.parametrize("reader", [read_docx, read_pptx, read_xlsx])
def test_damaged_office_file_is_broken(reader: object) -> None:
    with pytest.raises(UnusableError) as caught:
        reader(deck()[:-400])  # type: ignore[operator]
    assert caught.value.reason == ExtractDrop.BROKEN_OFFICE_FILE
    with pytest.raises(UnusableError) as caught:
        reader(docx(paragraph("x"), "<broken>"))  # type: ignore[operator]
    assert caught.value.reason == ExtractDrop.BROKEN_OFFICE_FILE


def test_office_file_without_text_has_a_reason() -> None:
    for reader, content in ((read_docx, docx("")), (read_pptx, saved(Presentation())), (read_xlsx, saved(Workbook()))):
        with pytest.raises(UnusableError) as caught:
            reader(content)
        assert caught.value.reason == ExtractDrop.NO_TEXT_IN_FILE


def test_entities_in_office_xml_are_refused_unread() -> None:
    laughs = '<!DOCTYPE w [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>'
    with pytest.raises(UnusableError) as caught:
        read_docx(docx(paragraph("&b;"), laughs))
    assert caught.value.reason == ExtractDrop.HOSTILE_XML
