"""OpenAI's chat completions, answered by Google's Gemini."""

from collections.abc import Mapping
from typing import Any, Final

from router_model.serving.formats.format import Translation
from router_model.serving.formats.shapes import Json
from router_model.serving.formats.translations.chat_to_gemini.answer import chat_completion
from router_model.serving.formats.translations.chat_to_gemini.request import gemini_request
from router_model.serving.formats.translations.chat_to_gemini.stream import ChatStream

__all__ = ["CHAT_TO_GEMINI", "ChatToGemini"]


class ChatToGemini:
    """OpenAI's chat requests become Gemini's, and Gemini's answers OpenAI's."""

    def request(self, body: Mapping[str, Any]) -> Json:
        """Return the body for Gemini.

        Raises
        ------
        InvalidRequestError
            If something in it cannot be said in Gemini's format and must not be dropped.
        """
        return gemini_request(body)

    def answer(self, answer: Json) -> Json:
        """Return the chat completion."""
        return chat_completion(answer)

    def stream(self) -> ChatStream:
        """Return what translates one stream."""
        return ChatStream()


CHAT_TO_GEMINI: Final[Translation] = ChatToGemini()
