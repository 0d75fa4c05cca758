import pytest
from pydantic import ValidationError

from steps.filtering.formats import FormatSettings, broken_formats, fenced_blocks, json_error, python_error


def reasons(rows, **settings):
    return [failure.reason.value for failure in broken_formats(rows, FormatSettings(**settings))]


@pytest.mark.parametrize(
    "answer",
    [
        "no code at all, only a ` tick",
        '```json\n{"a": [1, 2]}\n```',
        '```json\n{"a": 1}\n{"a": 2}\n```',
        "Steps:\n\n1. do\n\n   ```python\n   x = 1\n   ```\n\n2. done",
        "> ```python\n> x = 1\n> ```",
        "```python\n>>> f(1)\n2\n```",
        "```python\n%matplotlib inline\n!ls\nawait f()\n```",
        "```Python3\n    indented = 1\n```",
        "~~~~python\nx = '''\n~~~\n'''\n~~~~",
        "```cpp\nint main() { return\n```",
        "```python\n```",
    ],
)
def test_well_formed_answers_pass(row, answer):
    assert reasons([row(answer)]) == []


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("```json\n{'a': 1}\n```", "invalid_json"),
        ('```json\n{"a": NaN}\n```', "invalid_json"),
        ("```json\n" + "[" * 100_000 + "\n```", "invalid_json"),
        ("```python\nprint 'old'\n```", "invalid_python"),
        ("```py\ndef f(:\n```", "invalid_python"),
        ("```python\nx = 1", "unclosed_code_fence"),
        ("one\n```\ncode\n```\nand\n```\nmore", "unclosed_code_fence"),
        ("````\ncode\n```", "unclosed_code_fence"),
        ("```", "unclosed_code_fence"),
    ],
)
def test_broken_claims_fall(row, answer, reason):
    assert reasons([row(answer)]) == [reason]


def test_each_check_can_be_switched_off(row):
    rows = [row("```json\n{\n```"), row("```python\n(\n```", position=1), row("```\nopen", position=2)]
    assert reasons(rows, languages=("python",), check_fences=False) == ["invalid_python"]
    assert reasons(rows, languages=()) == ["unclosed_code_fence"]


def test_code_without_a_fence_is_parsed_only_when_its_language_is_configured(row):
    rows = [row("def f(:", kind="code"), row("plain words here", kind="summary", position=1)]
    assert reasons(rows) == []
    assert reasons(rows, code_kind_language="python") == ["invalid_python"]


def test_a_code_language_that_is_not_checked_is_refused():
    with pytest.raises(ValidationError, match="not among"):
        FormatSettings(languages=("json",), code_kind_language="python")


def test_invalid_escapes_do_not_warn(row):
    assert reasons([row("```python\nx = '\\d'\n```")]) == []


def test_the_detail_names_the_block_and_the_fault(row):
    answer = "```python\nx = 1\n```\n\n```python\ny = (\n```"
    (failure,) = broken_formats([row(answer)], FormatSettings())
    assert failure.detail == "block 2: line 1: '(' was never closed"


def test_blocks_tell_their_language_and_content():
    assert fenced_blocks("```{.Python title=x}\na\n```")[0][:2] == ("python", "a\n")


def test_null_bytes_are_an_error_not_a_crash():
    assert python_error("a\0b")
    assert json_error("\0")
