import itertools

import pytest
from jsonschema import Draft202012Validator

from steps.llm.flat_schema import surely_fits

VALUES = [
    None, True, False, 0, 1, 5, 6, 4.0, 4.5, -1, "", "good", "bad", [], ["good"], [1], [1, "good"], {}, {"score": 4},
    {"score": 4, "label": "good"}, {"score": 4, "label": "odd"}, {"score": True}, {"score": 9}, {"label": "good"},
    {"score": 4, "more": 1}, {"score": 1, "label": None}, [{"score": 2}], [{"score": 2}, {"score": 20}],
]  # fmt: skip
SCORE = {"type": "integer", "minimum": 1, "maximum": 5}
OBJECT = {"type": "object", "properties": {"score": SCORE, "label": {"type": "string", "enum": ["good", "bad"]}}}
SCHEMAS = [
    SCORE, OBJECT, {**OBJECT, "required": ["score"]}, {**OBJECT, "additionalProperties": False}, {"type": "number"},
    {"type": "boolean"}, {"type": "string"}, {"type": "array", "items": {"type": "string"}},
    {"type": "array", "items": {**OBJECT, "required": ["score"]}}, {"enum": [1, "good"]},
    {"type": "number", "maximum": 4}, {"type": ["string", "null"]}, {"type": "string", "minLength": 1},
    {"type": "array"}, {"type": "null"},
    {}, {"type": "integer", "enum": [1]}, {"type": "object", "properties": {"score": True}},
    {**OBJECT, "additionalProperties": {"type": "string"}}, {**OBJECT, "enum": [{}]}, {"anyOf": [SCORE]},
]  # fmt: skip


@pytest.mark.parametrize("schema", SCHEMAS)
def test_its_yes_is_the_validators_yes(schema):
    validator = Draft202012Validator(schema)
    for value in VALUES:
        assert validator.is_valid(value) or not surely_fits(value, schema), value


def test_it_says_yes_to_plain_schemas_wherever_they_are_met():
    plain = [schema for schema in SCHEMAS[:7] if schema]
    for value, schema in itertools.product(VALUES, plain):
        if value != 4.0 and not isinstance(value, float):
            assert surely_fits(value, schema) == Draft202012Validator(schema).is_valid(value), (value, schema)
