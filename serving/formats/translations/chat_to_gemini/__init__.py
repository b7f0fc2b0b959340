"""OpenAI's chat completions, answered by Google's Gemini."""

from typing import Final

from router_model.serving.formats.format import Translation
from router_model.serving.formats.translations.chat_to_gemini.answer import chat_completion
from router_model.serving.formats.translations.chat_to_gemini.request import gemini_request
from router_model.serving.formats.translations.chat_to_gemini.stream import ChatStream

__all__ = ["CHAT_TO_GEMINI"]

CHAT_TO_GEMINI: Final = Translation(gemini_request, chat_completion, ChatStream)
