"""Tools are read in every provider's form, and whatever else a body has there costs little and breaks nothing."""

import pytest

from router_model.features.tools import MAX_PARAMETERS, Tool, chat_tools, parameters_of, read_tools

SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "description": "Its name."},
        "days": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "at": {"type": ["array", "null"], "items": {"type": "object", "properties": {"hour": {"type": "NUMBER"}}}},
    },
    "required": ["city"],
}
WEATHER = Tool("weather", "Tell it.", SCHEMA)


@pytest.mark.parametrize(
    "said",
    [
        {"type": "function", "function": {"name": "weather", "description": "Tell it.", "parameters": SCHEMA}},
        {"type": "function", "name": "weather", "description": "Tell it.", "parameters": SCHEMA},
        {"name": "weather", "description": "Tell it.", "input_schema": SCHEMA},
        {"functionDeclarations": [{"name": "weather", "description": "Tell it.", "parametersJsonSchema": SCHEMA}]},
    ],
)
def test_every_form_is_the_same_tool(said):
    assert read_tools([said]) == (WEATHER,)
    assert read_tools(chat_tools([said])) == (WEATHER,)


def test_parameters_are_read_with_those_inside_them():
    """Three of the tool, and one in the items of a list; the first type counts, however it is written."""
    found = [(one.name, one.kind, one.depth) for one in parameters_of([WEATHER])[0]]
    assert found == [("city", "string", 0), ("days", "number", 0), ("at", "array", 0), ("hour", "number", 2)]


@pytest.mark.parametrize(
    "said", [None, "tools", 7, {}, [None, 1, "x", []], [{"functionDeclarations": "x"}], [{"function": 7}], [{}]]
)
def test_what_is_no_tool_has_no_parameters(said):
    assert not any(parameters_of(read_tools(said)))
    assert all(tool.parameters == {} for tool in read_tools(said))


@pytest.mark.parametrize(
    "schema", [{"properties": 1}, {"properties": {"a": 1}}, {"anyOf": 2}, {"items": [3]}, {"type": {}}]
)
def test_damaged_schemas_are_read_as_far_as_they_go(schema):
    assert 1 <= len(parameters_of([Tool("f", "", {"properties": {"a": schema}})])[0]) <= 2


def test_deep_and_wide_schemas_cost_little():
    deep: dict = {}
    for _ in range(5000):
        deep = {"properties": {"a": deep}}
    wide = {"properties": {str(i): {} for i in range(5000)}}
    assert len(parameters_of([Tool("f", "", deep)])[0]) < 20
    assert sum(map(len, parameters_of([Tool("f", "", wide)] * 1000))) == MAX_PARAMETERS
