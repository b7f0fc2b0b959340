"""OpenAI's Responses, answered by a provider of chat completions.

Simplifies: tools in namespaces and custom tools become functions (`router_model.serving.formats.responses.tool_names`);
a grammar of a custom tool is told in words; images in results of tools follow in a user message; the reasoning of an
answer is shown as a summary. References to what a provider keeps, and tools that a provider runs, are refused.
"""

from typing import Final

from router_model.serving.formats.format import Translation
from router_model.serving.formats.translations.responses_to_openai.answer import response_answer
from router_model.serving.formats.translations.responses_to_openai.request import chat_request
from router_model.serving.formats.translations.responses_to_openai.stream import ResponseEvents

__all__ = ["RESPONSES_TO_OPENAI"]

RESPONSES_TO_OPENAI: Final = Translation(chat_request, response_answer, ResponseEvents)
