import pytest

from steps.llm.json_reply import parse_object, schema_problem

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
        '<think>{"score": 1}? no</think>\n{"score": 4}',
    ],
)
def test_an_object_is_read_bare_or_from_its_only_fence(text):
    assert parse_object(text) == {"score": 4}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "4",
        "[4]",
        'The text says {"score": 5}, so I rate it {"score": 2}',
        '```json\n{"score": 5}\n```\n```json\n{"score": 2}\n```',
        '{"score": 1, "score": 5}',
        '{"score": NaN}',
        '{"score": 4',
        '{"score": 4} {"score": 5}',
        "[" * 100_000,
    ],
)
def test_a_doubtful_reply_is_refused(text):
    with pytest.raises(ValueError):
        parse_object(text)


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
