"""Features of a request beside its words: worked by hand, and 0 where there is nothing beside them."""

import math

import numpy as np
import pytest

from router_model.features import SURFACE_NAMES, Prompt, load_encoder
from router_model.features.featuriser import featurise
from router_model.features.request import (
    BACKGROUND_TURNS,
    FORM_NAMES,
    REQUEST_MEANINGS,
    REQUEST_NAMES,
    form_features,
    without_unused,
)

ASK = {"role": "user", "content": "How warm is it?"}
CALL = {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}
TOOLS = [
    {"function": {"name": "a", "description": "Four", "parameters": {"properties": {"x": {"type": "string"}}}}},
    {
        "function": {
            "name": "b",
            "parameters": {"properties": {"y": {"type": "integer"}, "z": {"type": "float"}}, "required": ["y"]},
        }
    },
]


def features_of(**body):
    row = form_features([Prompt.parse({"messages": [ASK], **body})])[0]
    found = {name: value for name, value in zip(REQUEST_NAMES, row[len(SURFACE_NAMES) :], strict=True) if value}
    return {name: round(math.expm1(value)) if "log" in name else value for name, value in found.items()}


def test_tools_are_counted():
    """Two tools with one and two parameters: one text and two numbers, one of them required, and four characters."""
    assert features_of(tools=TOOLS) == {
        "log_tools": 2, "log_tool_parameters": 3, "log_most_parameters": 2, "log_required": 1,
        "log_string_parameters": 1, "log_number_parameters": 2, "log_tool_chars": 4,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("messages", "steps", "errors"),
    [
        ([ASK], 0, 0),
        ([ASK, CALL, {"role": "tool", "content": "4 degrees, no errors are known of it"}], 1, 1),
        ([ASK, CALL, {"role": "tool", "content": "Error: denied"}, CALL, {"role": "tool", "content": "4"}], 2, 1),
        ([ASK, CALL, {"role": "tool", "content": "Error"}, {"role": "assistant", "content": "No."}, ASK], 0, 0),
        ([ASK, CALL, {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x"}}]}], 0, 0),
        ([ASK, CALL, {"role": "tool", "content": "x" * 300 + " error"}], 1, 0),
        ([ASK, CALL, {"role": "tool", "content": [{"type": "text", "text": "Traceback of 3 calls"}]}], 1, 1),
        ([ASK, CALL, {"role": "user", "content": [{"type": "tool_result", "is_error": True}]}], 1, 1),
    ],
)
def test_steps_and_errors_count_since_the_user_spoke(messages, steps, errors):
    found = features_of(messages=messages)
    assert (found.get("log_steps", 0), found.get("log_tool_errors", 0)) == (steps, errors)


def test_kinds_of_calls_have_a_column_each_and_unknown_ones_none():
    for turn in BACKGROUND_TURNS:
        assert features_of(turn_type=turn) == {f"is_{turn}": 1}
    assert features_of(turn_type="work") == features_of(turn_type=["title"]) == {}


def test_nothing_beside_the_words_leaves_the_columns_of_texts_alone():
    prompts = [
        "Hi",
        [ASK],
        {"messages": [ASK], "response_format": {"type": "json_object"}, "max_tokens": 5, "tools": []},
    ]
    surface = featurise(prompts, load_encoder("static")).surface
    assert surface.shape == (3, len(FORM_NAMES))
    assert without_unused(surface).shape == (3, len(SURFACE_NAMES))
    with_tools = featurise([*prompts, {"messages": [ASK], "tools": TOOLS}], load_encoder("static")).surface
    assert without_unused(with_tools) is with_tools
    assert np.array_equal(with_tools[:3], surface)


def test_every_feature_is_named_and_finite():
    hostile = {
        "messages": [ASK],
        "tools": [{"function": {"parameters": {"properties": {"a": {}}, "required": 7}}}] * 2000,
    }
    row = form_features([Prompt.parse(hostile)])
    assert row.shape == (1, len(SURFACE_NAMES) + len(REQUEST_MEANINGS))
    assert np.isfinite(row).all()


def test_the_tools_of_a_request_count_as_input():
    """Four characters of their JSON count as one word piece."""
    tool = {"type": "function", "function": {"name": "add", "description": "Sum"}}
    body = {"messages": [{"role": "user", "content": "Add 2 and 3."}]}
    encoder = load_encoder("static")
    alone, offered = featurise([body, body | {"tools": [tool]}], encoder).n_input_tokens
    assert offered - alone == len('[{"type": "function", "function": {"name": "add", "description": "Sum"}}]') / 4
