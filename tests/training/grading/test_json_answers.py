"""The grader `json-schema`, by hand."""

import json

import pytest

from router_model.errors import RequestError
from router_model.training.grading.answers import Answer
from router_model.training.grading.json_answers import JsonSchema

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}

CASES = [
    ('{"n": 1}', 1),
    ('  {"n": 1}\n', 1),
    ('```json\n{"n": 1}\n```', 1),
    ('Here you are:\n```\n{"n": 1}\n```\nAnything else?', 1),
    ('```json\n{"n": 1}\n```\nor\n```json\n{"n": 2}\n```', 0),
    ('The JSON is {"n": 1}', 0),
    ('{"n": "1"}', 0),
    ('{"n": 1, "m": 2}', 0),
    ('{"n": NaN}', 0),
    ("{'n': 1}", 0),
    ("", 0),
]


@pytest.mark.parametrize(("text", "quality"), CASES)
def test_answers_are_checked(text, quality):
    (grade,) = JsonSchema().grade([Answer(text, reference=json.dumps(SCHEMA))])
    assert grade.quality == quality


def test_the_schema_comes_from_a_file_the_reference_or_the_request(tmp_path):
    (tmp_path / "own.json").write_text('{"type": "array"}')
    format_ = {"response_format": json.dumps({"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}})}
    of_request = Answer('{"n": 1}', row=format_)
    of_reference = Answer('{"n": 1}', reference='{"type": "string"}', row=format_)
    assert JsonSchema().grade([of_request])[0].quality == 1
    assert JsonSchema().grade([of_reference])[0].quality == 0
    assert JsonSchema.of_file(tmp_path / "own.json").grade([of_request])[0].quality == 0


@pytest.mark.parametrize(
    ("text", "schema", "reason"),
    [
        ("{}", None, "no schema"),
        ("{}", "not JSON", "the schema cannot be read"),
        ("{}", '{"type": "thing"}', "the schema cannot be read"),
        ("{}", '{"$ref": "http://127.0.0.1:9/schema.json"}', "refers to something that is not in it"),
        ("[" * 100_000, "{}", "nested too deeply"),
    ],
)
def test_what_cannot_be_checked_has_no_grade(text, schema, reason):
    (grade,) = JsonSchema().grade([Answer(text, reference=schema)])
    assert grade.quality is None
    assert reason in grade.reason


def test_a_file_that_is_no_schema_is_refused(tmp_path):
    (tmp_path / "bad.json").write_text('{"type": "thing"}')
    with pytest.raises(RequestError, match="bad.json is not a JSON schema"):
        JsonSchema.of_file(tmp_path / "bad.json")
