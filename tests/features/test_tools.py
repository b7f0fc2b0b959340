"""Tools are read in every provider's form."""

import pytest

from router_model.features.tools import Tool, chat_tools, read_tools

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
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
