"""Between OpenAI's chat format and Google's Gemini."""

from typing import Final

from router_model.serving.formats.format import Translation
from router_model.serving.formats.translations.gemini.chat_to_gemini import ChatToGemini
from router_model.serving.formats.translations.gemini.generate_to_openai import GenerateToOpenAI

CHAT_TO_GEMINI: Final[Translation] = ChatToGemini()
"""OpenAI's chat surface, answered by Gemini."""
GENERATE_TO_OPENAI: Final[Translation] = GenerateToOpenAI()
"""Google's surface, answered by a provider that speaks OpenAI's format."""

__all__ = ["CHAT_TO_GEMINI", "GENERATE_TO_OPENAI"]
