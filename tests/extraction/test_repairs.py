import pytest

from steps.extraction.document_columns import repairs_of
from steps.extraction.documents import columns_of, read_content
from steps.extraction.repairs import KINDS, added, mend
from steps.rows import DOCUMENTS, REPAIRS, table


@pytest.mark.parametrize(
    ("text", "mended", "counts"),
    [
        ("plain\ttext\n", "plain\ttext\n", {}),
        ("café “quoted” – naïve Ünïcödé €5 日本語 Привет", "café “quoted” – naïve Ünïcödé €5 日本語 Привет", {}),
        ("cafÃ© and itâ€™s\nfine\nÃ¼ber", "café and it's\nfine\nüber", {"mojibake": 2}),
        ("a\x00b\x00", "ab", {"nul": 2}),
        ("a\x01\x1f\x9bb", "ab", {"control": 3}),
        ("\ufeffa\ufeff", "a", {"bom": 2}),
        ("e\u0301e\u0301", "éé", {"not_nfc": 2}),
        ("\ud800x", "\ufffdx", {"surrogate": 1}),
        ("a\r\nb\rc\u2028d", "a\nb\nc\nd", {"line_end": 3}),
    ],
)
def test_what_is_mended_is_counted(text: str, mended: str, counts: dict[str, int]) -> None:
    found, repairs = mend(text)
    assert (found.replace("’", "'"), repairs) == (mended, counts)
    assert mend(found) == (found, {})


def test_kinds_are_the_columns_of_the_table() -> None:
    assert tuple(field.name for field in REPAIRS) == KINDS


def test_repairs_of_all_documents_are_added_up() -> None:
    rows = []
    for number, content in enumerate((b"a\r\nb\r\nc", b"\xef\xbb\xbfclean\r\n", b"clean")):
        format_name, found = read_content(content, "a.txt")
        rows.append(
            {
                "id": str(number),
                "text": found.text,
                "source": "s",
                "path": "p",
                "format": format_name,
                **columns_of(found),
            }
        )
    assert repairs_of(table(rows, DOCUMENTS)) == {"documents": 2, "bom": 1, "line_end": 3}
    assert repairs_of(table(rows[2:], DOCUMENTS)) == {}
    assert added([{"nul": 1}, {"nul": 2}]) == {"nul": 3}
