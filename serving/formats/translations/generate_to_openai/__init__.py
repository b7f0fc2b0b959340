"""Google's ``generateContent``, answered by an OpenAI-compatible provider."""

from typing import Final

from router_model.serving.formats.format import Translation
from router_model.serving.formats.translations.generate_to_openai.answer import generated_content
from router_model.serving.formats.translations.generate_to_openai.request import chat_request
from router_model.serving.formats.translations.generate_to_openai.stream import GenerateStream

__all__ = ["GENERATE_TO_OPENAI"]

GENERATE_TO_OPENAI: Final = Translation(chat_request, generated_content, GenerateStream)
