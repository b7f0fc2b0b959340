"""The tool that stands for "any JSON object", because Anthropic's format has no other way to ask for one."""

from typing import Final

JSON_TOOL: Final = "answer_as_json_object"
"""A tool of this name is forced; its input is the content of the answer."""
