"""Google's ``generateContent``, answered by an OpenAI-compatible provider."""

from collections.abc import Mapping
from typing import Any, Final

from router_model.serving.formats.format import Translation
from router_model.serving.formats.shapes import Json
from router_model.serving.formats.translations.generate_to_openai.answer import generated_content
from router_model.serving.formats.translations.generate_to_openai.request import chat_request
from router_model.serving.formats.translations.generate_to_openai.stream import GenerateStream

__all__ = ["GENERATE_TO_OPENAI", "GenerateToOpenAI"]


class GenerateToOpenAI:
    """Gemini's requests become OpenAI's chat requests, and chat completions Gemini's answers."""

    def request(self, body: Mapping[str, Any]) -> Json:
        """Return the chat body.

        Raises
        ------
        InvalidRequestError
            If something in it cannot be said in OpenAI's format and must not be dropped.
        """
        return chat_request(body)

    def answer(self, answer: Json) -> Json:
        """Return the answer in Gemini's format.

        Raises
        ------
        UpstreamFailure
            If the arguments of a tool call are not a JSON object.
        """
        return generated_content(answer)

    def stream(self) -> GenerateStream:
        """Return what translates one stream."""
        return GenerateStream()


GENERATE_TO_OPENAI: Final[Translation] = GenerateToOpenAI()
