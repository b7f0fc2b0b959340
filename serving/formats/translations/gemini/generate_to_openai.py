"""`GENERATE_TO_OPENAI`: what it consists of."""

from collections.abc import Mapping
from typing import Any

from router_model.serving.formats.format import Json
from router_model.serving.formats.translations.gemini.generate_answer import generated_content
from router_model.serving.formats.translations.gemini.generate_request import chat_request
from router_model.serving.formats.translations.gemini.generate_stream import GenerateStream


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
            If the arguments of a tool call are no JSON object.
        """
        return generated_content(answer)

    def stream(self) -> GenerateStream:
        """Return what translates one stream."""
        return GenerateStream()
