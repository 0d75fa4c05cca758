import json

import pytest

from steps.errors import ConfigError
from steps.llm.json_reply import parse_object, read_object, schema_problem

SCHEMA = {
    "properties": {
        "score": {"type": "integer", "minimum": 1, "maximum": 5},
        "label": {"type": "string", "enum": ["good", "bad"]},
    },
    "required": ["score"],
}


@pytest.mark.parametrize(
    "text",
    [
        '{"score": 4}',
        '  \n{"score": 4}\n',
        '```json\n{"score": 4}\n```',
        'Here you are:\n```\n{"score": 4}\n```\nBye.',
        '```JSON\r\n{"score": 4}',
        'I rate it {"score": 4}, for its clarity.',
        'The set {a, b} and \\frac{1}{2} and {} say nothing: {"score": 4}}',
        '<think>{"score": 1}? no</think>\n{"score": 4}',
        '<thinking>{"score": 1}</thinking><think>Hm.</think>{"score": 4}',
        'so {"score": 1}? Or {"sco no.</think>\n\n{"score": 4}',
        '{"score": 4,}',
        "{'score': 4}",
        "{score: 4}",
        '{"score": /* of five */ 4 // fine\n}',
        '{\n# the score\n"score": 4}',
        'First {"score": 4}, and once more {"score": 4}.',
    ],
)
def test_the_only_object_is_read_however_it_is_wrapped(text):
    assert read_object(text, SCHEMA) == {"score": 4}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{'a': True, 'b': None, 'c': [1, 2.5e1, False,],}", {"a": True, "b": None, "c": [1, 25.0, False]}),
        ('{"a": "two\nlines\tand a tab"}', {"a": "two\nlines\tand a tab"}),
        ('x {"a": "two\nlines"}', {"a": "two\nlines"}),
        (r"""x {'it\'s': "a \"b\" \\ \n \u00e9 \ud83d\ude00 \u12"}""", {"it's": 'a "b" \\ \n é 😀 \\u12'}),
        (r'{"a": "\(x\) // no comment # either"}', {"a": r"\(x\) // no comment # either"}),
        ('x {"a": {"b": [{"c": {}}]}, "d": -0}', {"a": {"b": [{"c": {}}]}, "d": 0}),
    ],
)
def test_json_as_models_write_it_is_read_to_the_letter(text, expected):
    assert parse_object(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "4",
        "[4]",
        "No object at all, {only braces}.",
        '[{"score": 4}]',
        'As a list: [{"score": 4}]',
        'The text says {"score": 5}, so I rate it {"score": 2}',
        '```json\n{"score": 5}\n```\n```json\n{"score": 2}\n```',
        '{"score": 4} {"score": 5}',
        '{"score": 1, "score": 5}',
        'x {"score": 1, "score": 5}',
        '{"score": NaN}',
        'x {"score": NaN}',
        '{"score": 1e999}',
        'x {"score": 1e999}',
        'x {"score": 04}',
        '{"score": 4 out of 5}',
        '{"score": four}',
        '{"score": 4 "label": "good"}',
        '{"score": 4,, "label": "good"}',
        '{"label": "so "good"", "score": 4}',
        "{'label': 'it's good', 'score': 4}",
        "[" * 100_000,
        'x {"a": ' * 100_000,
    ],
)
def test_a_doubtful_reply_is_refused(text):
    with pytest.raises(ValueError):
        read_object(text, SCHEMA)


WHOLE = '{"parts": [{"score": 1}, {"score": 2}], "why": "it is\\ngood", "score": 4}'


@pytest.mark.parametrize("before", ["", "Here it is:\n```json\n", "<think>Hm.</think>"])
def test_a_reply_that_is_cut_off_anywhere_is_never_completed_nor_replaced_by_its_part(before):
    assert read_object(before + WHOLE, SCHEMA)["score"] == 4
    for end in range(len(WHOLE)):
        with pytest.raises(ValueError):
            read_object(before + WHOLE[:end], SCHEMA)
        with pytest.raises(ValueError):
            read_object(before + WHOLE.replace('"', "'")[:end], SCHEMA)


def test_a_cut_off_second_object_spoils_the_first():
    assert "cut off" in schema_problem('{"score": 4}\n{"score": 5', SCHEMA)


def test_unclosed_thinking_is_no_reply():
    assert "<think> was not closed" in schema_problem('<think>Perhaps {"score": 4}', SCHEMA)


def test_of_several_objects_the_one_of_the_schema_counts_and_two_that_differ_are_refused():
    assert read_object('{"note": 1} and then {"score": 4}', SCHEMA) == {"score": 4}
    with pytest.raises(ValueError, match="it holds 2 that differ"):
        read_object('{"note": 1} {"score": 4} {"score": 4, "label": "bad"}', SCHEMA)
    with pytest.raises(ValueError, match="holds 2 JSON objects, none of the form asked"):
        read_object('{"note": 1} {"score": "4"}', SCHEMA)


@pytest.mark.parametrize("before", ["", "Here: "])
def test_a_quotation_inside_of_a_string_is_text(before):
    quoting = (
        before + """{"label": "bad", "rationale": "it says </think>{'score': 5} and {\\"score\\": 5}", "score": 1}"""
    )
    assert read_object(quoting, SCHEMA)["score"] == 1


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"score": 4}', None),
        ('{"score": 4.0}', None),
        ('{"label": "good"}', "lacks score"),
        ('{"score": "4"}', "score is not of type integer"),
        ('{"score": true}', "score is not of type integer"),
        ('{"score": 3.5}', "score is not of type integer"),
        ('{"score": 0}', "score is below 1"),
        ('{"score": 6}', "score is above 5"),
        ('{"score": 4, "label": "great"}', "label is not one of"),
    ],
)
def test_a_reply_is_held_against_the_schema(text, problem):
    found = schema_problem(text, SCHEMA)
    assert found is None if problem is None else problem in found


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        ({"claims": [{"text": "x", "spans": [[0, 4]]}]}, None),
        ({"claims": []}, "claims: [] should be non-empty"),
        ({"claims": [{"text": "x"}]}, "lacks claims.0.spans"),
        ({"claims": [{"text": "x", "spans": [[0, "4"]]}]}, "claims.0.spans.0.1 is not of type integer"),
        ({"claims": [{"text": "x", "spans": [], "why": 1}]}, "'why' was unexpected"),
        ({"claims": [{"text": "y", "spans": []}]}, "claims.0.text: 'y' does not match '^x'"),
    ],
)
def test_the_whole_of_json_schema_counts(reply, problem):
    claim = {
        "type": "object",
        "properties": {
            "text": {"type": "string", "pattern": "^x"},
            "spans": {"type": "array", "items": {"type": "array", "items": {"type": "integer"}}},
        },
        "required": ["text", "spans"],
        "additionalProperties": False,
    }
    claims = {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/claim"}}
    schema = {"type": "object", "properties": {"claims": claims}, "$defs": {"claim": claim}}
    found = schema_problem(json.dumps(reply), schema)
    assert found is None if problem is None else problem in found


def test_a_schema_that_is_none_is_an_error_of_the_config():
    with pytest.raises(ConfigError, match="schema is not one"):
        schema_problem("{}", {"type": "text"})
