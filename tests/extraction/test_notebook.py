import json

import pytest

from steps.extraction.notebook import MAX_OUTPUT_CHARACTERS, read_notebook
from steps.extraction.reasons import ExtractDrop, UnusableError

FRAME = "<table><thead><tr><th></th><th>a</th></tr></thead><tbody><tr><th>0</th><td>1</td></tr></tbody></table>"


def notebook(*cells: dict[str, object]) -> bytes:
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}).encode()


def code(source: str, *outputs: dict[str, object]) -> dict[str, object]:
    return {"cell_type": "code", "source": source.splitlines(keepends=True), "outputs": outputs}


def test_cells_become_text_code_and_outputs() -> None:
    found = read_notebook(
        notebook(
            {"cell_type": "markdown", "source": "# Guide\n![x](data:image/png;base64,AAAA)"},
            code("print(1)\nprint(2)", {"output_type": "stream", "name": "stdout", "text": "\x1b[1m1\x1b[0m\n2\n"}),
            code("%%bash\nls", {"output_type": "stream", "name": "stderr", "text": "warning"}),
            code("df", {"output_type": "execute_result", "data": {"text/plain": "a", "text/html": FRAME}}),
            code("plot()", {"output_type": "display_data", "data": {"text/plain": "<Figure size 1x1>"}}),
        )
    )
    assert found.title == "Guide"
    assert found.text == (
        "# Guide\n\n```python\nprint(1)\nprint(2)\n```\n\n```text\n1\n2\n```\n\n```bash\n%%bash\nls\n```\n\n"
        "```python\ndf\n```\n\n|  | a |\n| --- | --- |\n| 0 | 1 |\n\n```python\nplot()\n```"
    )
    assert [place.label for place in found.offset_map] == [f"cell {number}" for number in range(1, 6)]
    assert found.text[found.offset_map[2].start :].startswith("```bash")


def test_long_output_is_cut_at_a_line() -> None:
    text = "line\n" * MAX_OUTPUT_CHARACTERS
    found = read_notebook(notebook(code("x", {"output_type": "stream", "name": "stdout", "text": text})))
    assert len(found.text) < MAX_OUTPUT_CHARACTERS + 100
    assert found.text.endswith("line\n…\n```")


def test_old_notebook_is_read_as_well() -> None:
    cells = [
        {"cell_type": "heading", "level": 2, "source": "Old", "metadata": {}},
        {
            "cell_type": "code",
            "input": "print 1",
            "language": "python",
            "outputs": [],
            "collapsed": False,
            "metadata": {},
        },
    ]
    old = {
        "nbformat": 3,
        "nbformat_minor": 0,
        "metadata": {"name": ""},
        "worksheets": [{"cells": cells, "metadata": {}}],
    }
    assert read_notebook(json.dumps(old).encode()).text == "## Old\n\n```python\nprint 1\n```"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{", ExtractDrop.BROKEN_NOTEBOOK),
        (b"[1]", ExtractDrop.BROKEN_NOTEBOOK),
        (b"[" * 100_000, ExtractDrop.BROKEN_NOTEBOOK),
        (b"\xff\xfe", ExtractDrop.BROKEN_NOTEBOOK),
        (notebook(), ExtractDrop.NO_TEXT_IN_FILE),
        (b" ", ExtractDrop.EMPTY_FILE),
    ],
)
def test_unusable_notebooks_are_told_apart(content: bytes, reason: ExtractDrop) -> None:
    with pytest.raises(UnusableError) as caught:
        read_notebook(content)
    assert caught.value.reason == reason
