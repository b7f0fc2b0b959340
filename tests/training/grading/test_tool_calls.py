"""The grader `tool-calls`, by hand."""

import json

import pytest

from router_model.training.grading.answers import Answer
from router_model.training.grading.graders import read_by
from router_model.training.grading.tool_calls import ToolCalls

TOOLS = json.dumps([{"type": "function", "function": {"name": "weather.get", "parameters": {"type": "object",
    "properties": {"city": {"type": "string"}, "unit": {"type": "string", "default": "C"}}}}}])  # fmt: skip


def openai(name, **arguments):
    return {"id": "call_1", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}


def short(name, **arguments):
    return {"name": name, "arguments": arguments}


def quality(made, reference, by="tool-calls", tools=TOOLS):
    answer = Answer(None, made, reference if isinstance(reference, str) else json.dumps(reference), {"tools": tools})
    return read_by([by], judge=None)["*"].grade([answer])[0].quality


CASES = [  # made, reference, quality
    ([openai("f", x=1)], [openai("f", x=1)], 1),
    ([openai("f", x=1, y=[2])], [short("f", y=[2], x=1.0)], 1),
    ([openai("f", x=1)], short("f", x=1), 1),
    ([openai("f", x=2)], [short("f", x=1)], 0),
    ([openai("f", x=True)], [short("f", x=1)], 0),
    ([openai("f", x="1")], [short("f", x=1)], 0),
    ([openai("g", x=1)], [short("f", x=1)], 0),
    ([openai("a_b", x=1)], [short("a.b", x=1)], 1),
    ([openai("f", x=1), openai("g")], [short("g"), short("f", x=1)], 1),
    ([openai("f", x=1)], [short("f", x=1), short("f", x=1)], 0),
    ([openai("f", x=1), openai("f", x=1)], [short("f", x=1), short("f", x=2)], 0),
    ([openai("f", x={"a": [1, {"b": None}]})], [short("f", x={"a": [1, {"b": None}]})], 1),
    # optional parameters
    ([openai("weather_get", city="Rome")], [short("weather.get", city="Rome", unit="C")], 1),
    ([openai("weather_get", city="Rome", unit="C")], [short("weather.get", city="Rome")], 1),
    ([openai("weather_get", city="Rome", unit="F")], [short("weather.get", city="Rome")], 0),
    ([openai("weather_get", city="Rome", days=1)], [short("weather.get", city="Rome")], 0),
    # values that are accepted
    ([openai("f", x=2)], [{"f": {"x": [1, 2], "unit": ["m", ""]}}], 1),
    ([openai("f", x=2, unit="m")], [{"f": {"x": [1, 2], "unit": ["m", ""]}}], 1),
    ([openai("f", x=2, unit="km")], [{"f": {"x": [1, 2], "unit": ["m", ""]}}], 0),
    ([openai("f", unit="m")], [{"f": {"x": [1, 2], "unit": ["m", ""]}}], 0),
    ([openai("f", x=2, z=1)], [{"f": {"x": [1, 2]}}], 0),
    ([openai("f", x={"a": 2})], [{"f": {"x": [{"a": [1, 2], "b": [""]}]}}], 1),
    ([openai("f", x=[{"a": 3}])], [{"f": {"x": [[{"a": [1, 2]}]]}}], 0),
    # both calls fit the first, and only one of them fits the second: pairing them greedily fails
    ([openai("f", x=1), openai("f", x=2)], [{"f": {"x": [1, 2]}}, {"f": {"x": [1]}}], 1),
    # no call is wanted
    (None, [], 1),
    ([openai("f")], [], 0),
    (None, [short("f")], 0),
    # arguments that are no object
    ([{"function": {"name": "f", "arguments": '{"x": 1'}}], [short("f", x=1)], 0),
    ([{"function": {"name": "f", "arguments": ""}}], [short("f")], 1),
]


@pytest.mark.parametrize(("made", "reference", "expected"), CASES)
def test_calls_are_compared(made, reference, expected):
    assert quality(made, reference) == expected


def test_texts_in_arguments_are_compared_as_asked():
    wanted = [short("f", x="New York")]
    assert quality([openai("f", x="new  york")], wanted) == 0
    assert quality([openai("f", x="new  york")], wanted, by="tool-calls:ignore=case") == 1


def test_an_answer_of_text_instead_of_a_call_is_wrong():
    (grade,) = ToolCalls().grade([Answer("It is warm.", None, json.dumps([short("f")]))])
    assert grade.quality == 0.0


@pytest.mark.parametrize("reference", ["Paris", '"Paris"', "[1]", '{"f": 1, "g": 2}', '{"name": "f", "arguments": 3}'])
def test_a_reference_that_is_no_list_of_calls_is_no_grade(reference):
    assert quality([openai("f")], reference) is None
