"""What a predictor reads of tools; whatever else a body of JSON has in their place costs little."""

import json

import pytest

from router_model.features import tool_counts
from router_model.features.tool_counts import MAX_PARAMETERS, NO_TOOLS, ToolCounts, count_tools, parameters_of
from router_model.features.tools import Tool, read_tools

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


def test_parameters_are_read_with_those_inside_them():
    """Three of the tool, and one in the items of a list; the first type counts, however it is written."""
    found = [(one.name, one.kind, one.depth) for one in parameters_of([WEATHER])[0]]
    assert found == [("city", "string", 0), ("days", "number", 0), ("at", "array", 0), ("hour", "number", 2)]


def test_equal_tools_are_counted_once(monkeypatch):
    """Whoever sends the same tools again is answered from memory, and one more space in a text is another list."""
    asked = []
    monkeypatch.setattr(tool_counts, "read_tools", lambda value: asked.append(value) or read_tools(value))
    said = [{"name": "weather", "description": "Tell it.", "input_schema": SCHEMA}, {"name": "remembered"}]
    counts = ToolCounts(2, 4, 4, 1, (1, 2, 0, 1, 0, 0), 8, len(json.dumps(said)))
    assert [count_tools(said), count_tools(json.loads(json.dumps(said)))] == [counts, counts]
    said[1]["name"] += " "
    assert count_tools(said).json_chars == counts.json_chars + 1
    assert len(asked) == 2


def test_what_cannot_be_remembered_is_counted_all_the_same():
    """Values that only Python has, and tools of more than a quarter of a megabyte."""
    assert count_tools([{"name": "a", "input_schema": {"x": object}}]).tools == 1
    assert count_tools([{"name": "a", "description": "x" * 300_000}]).description_chars == 300_000
    assert [count_tools(nothing) for nothing in (None, [], "")] == [NO_TOOLS] * 3


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
