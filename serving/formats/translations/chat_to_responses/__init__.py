"""Chat completions, answered by a provider that speaks OpenAI's Responses.

Simplifies: answers are not stored unless the body asks for it; what a model thought comes as ``reasoning_content``, and
its encrypted form as one of OpenRouter's ``reasoning_details``, which goes back in the next request.
"""

from typing import Final

from router_model.serving.formats.format import Translation
from router_model.serving.formats.translations.chat_to_responses.answer import chat_answer
from router_model.serving.formats.translations.chat_to_responses.request import responses_request
from router_model.serving.formats.translations.chat_to_responses.stream import ResponseChunks

__all__ = ["CHAT_TO_RESPONSES"]

CHAT_TO_RESPONSES: Final = Translation(responses_request, chat_answer, ResponseChunks)
