import pytest

from steps.filtering.markdown_blocks import fenced_blocks, table_defect, without_fences


def test_blocks_tell_their_language_and_content():
    assert fenced_blocks("```{.Python title=x}\na\n```")[0][:2] == ("python", "a\n")


@pytest.mark.parametrize(
    ("text", "closed"),
    [("```\na\n```", [True]), ("```\na\n``", [False]), ("- ```\n  a\n  ```\n\n> ~~~\n> b\n> ~~~", [True, True])],
)
def test_blocks_tell_whether_they_close(text, closed):
    assert [block.closed for block in fenced_blocks(text)] == closed


@pytest.mark.parametrize(
    "text",
    [
        "a | b\n---|---\n1 | 2",
        "| a | b |\n|:-|-:|\n| 1 |\n| x \\| y | `p|q` |",
        "| a |\nno table\n| b | c |",
        "a | b and then prose",
    ],
)
def test_tables_that_render_are_well_formed(text):
    assert table_defect(text) is None


def test_a_delimiter_row_of_another_width_is_named():
    assert table_defect("| a | b | c |\n|---|---|\n| 1 | 2 | 3 |") == "line 2: 2 delimiter cells under a header of 3"


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("a `b` c", "a   c"),
        ("a ``b ` c`` d", "a   d"),
        ("a\n```\nb", "a\n "),
        ("a\n~~~\n```\n~~~\nc", "a\n \nc"),
        ("one ` tick", "one ` tick"),
    ],
)
def test_code_is_taken_out(text, rest):
    assert without_fences(text) == rest
