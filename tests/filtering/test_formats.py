import pytest
from pydantic import ValidationError

from steps.filtering.formats import FormatSettings, broken_formats


@pytest.fixture
def failures(batch):
    def run(rows, **settings):
        return list(broken_formats(batch(rows), FormatSettings(**settings)).failures)

    return run


@pytest.fixture
def reasons(failures):
    def run(rows, **settings):
        return [failure.reason.value for failure in failures(rows, **settings)]

    return run


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
        "```ruby\ndef f(\n```",
        "```bash\nif then fi (\n```",
        "```python\n```",
        "```diff\n+ x = (\n```",
    ],
)
def test_well_formed_answers_pass(row, reasons, answer):
    assert reasons([row(answer)]) == []


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("```json\n{'a': 1}\n```", "invalid_json"),
        ('```json\n{"a": NaN}\n```', "invalid_json"),
        ("```json\n" + "[" * 100_000 + "\n```", "invalid_json"),
        ("```python\nprint 'old'\n```", "invalid_python"),
        ("```py\ndef f(:\n```", "invalid_python"),
        ("```cpp\nint main() { return\n```", "invalid_code"),
        ("```rs\nfn main( {}\n```", "invalid_code"),
        ("```python\nx = 1", "unclosed_code_fence"),
        ("one\n```\ncode\n```\nand\n```\nmore", "unclosed_code_fence"),
        ("````\ncode\n```", "unclosed_code_fence"),
        ("```", "unclosed_code_fence"),
    ],
)
def test_broken_claims_fall(row, reasons, answer, reason):
    assert reasons([row(answer)]) == [reason]


def test_what_the_user_broke_is_not_the_answers_fault(row, reasons):
    assert reasons([row("It lacks a bracket.", prompt="What is wrong?\n```python\nf(\n```")]) == []


def test_each_check_can_be_switched_off(row, reasons):
    rows = [row("```json\n{\n```"), row("```python\n(\n```", position=1), row("```\nopen", position=2)]
    assert reasons(rows, languages=("python",), check_fences=False) == ["invalid_python"]
    assert reasons(rows, languages=()) == ["unclosed_code_fence"]


def test_code_without_a_fence_is_parsed_only_when_its_language_is_configured(row, reasons):
    rows = [row("def f(:", kind="code"), row("plain words here", kind="summary", position=1)]
    assert reasons(rows) == []
    assert reasons(rows, code_kind_language="python") == ["invalid_python"]


def test_whole_files_can_be_asked_for(row, reasons):
    rows = [row('```json\n{"a": 1, ...}\n```'), row("```python\nf(a=1, ...)\n```", position=1)]
    assert reasons(rows) == []
    assert reasons(rows, allow_fragments=False) == ["invalid_json", "invalid_python"]


def test_a_share_of_the_code_may_not_fit(row, reasons):
    answer = "```c\nint a = 1;\nint b = 2;\nint c = = 3;\n" + "int d = 4;\n" * 40 + "```"
    assert reasons([row(answer)]) == ["invalid_code"]
    assert reasons([row(answer)], max_error_fraction=0.05) == []
    assert reasons([row("```c\nint f() { return 1;\n```")], max_error_fraction=1) == ["invalid_code"]


def test_json_is_held_to_a_schema(row, failures):
    schema = {"type": "object", "required": ["name"], "properties": {"age": {"type": "integer"}}}
    rows = [
        row('```json\n{"name": "a", "age": 1}\n```'),
        row('```json\n{"name": "a", "age": "old"}\n```', position=1),
        row('```json\n{"name": "a", ...}\n```', position=2),
    ]
    found = failures(rows, json_schema=schema)
    assert [(failure.position, failure.reason.value) for failure in found] == [
        (1, "json_breaks_schema"),
        (2, "json_breaks_schema"),
    ]
    assert found[0].detail == "block 1: $.age: 'old' is not of type 'integer'"


@pytest.mark.parametrize(
    ("schema", "message"),
    [({"type": "nothing"}, "no JSON Schema"), ({"items": {"$ref": "https://example.com/a.json"}}, "does not hold")],
)
def test_a_schema_that_is_none_or_lies_elsewhere_is_refused(schema, message):
    with pytest.raises(ValidationError, match=message):
        FormatSettings(json_schema=schema)


def test_tables_are_checked_on_demand_and_not_inside_of_code(row, reasons):
    table = "| a | b |\n|---|---|\n| 1 | 2 | 3 |"
    rows = [row(table), row(f"```\n{table}\n```", position=1), row("| a | b |\n|---|---|\n| 1 |", position=2)]
    assert reasons(rows) == []
    assert reasons(rows, check_tables=True) == ["malformed_table"]


def test_a_code_language_that_is_not_checked_is_refused():
    with pytest.raises(ValidationError, match="not among"):
        FormatSettings(languages=("json",), code_kind_language="python")


def test_the_detail_names_the_block_and_the_fault(row, failures):
    answer = "```python\nx = 1\n```\n\n```python\ny = (\n```"
    assert failures([row(answer)])[0].detail == "block 2: line 1: '(' was never closed"
    assert failures([row("```java\nint f() { return 1;\n```")])[0].detail == "block 1: java: line 1: missing }"
