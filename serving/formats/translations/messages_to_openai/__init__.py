"""Anthropic's Messages, answered by an OpenAI-compatible provider.

Simplifies: marks for the cache, citations and thinking of earlier turns are left out (thinking that came from such a
provider goes back to it while tools are at work); images in results of tools follow in a user message; thinking budgets
become an effort.
"""

from collections.abc import Mapping
from typing import Any, Final

from router_model.serving.formats.format import Translation
from router_model.serving.formats.shapes import Json
from router_model.serving.formats.translations.messages_to_openai.answer import message_answer
from router_model.serving.formats.translations.messages_to_openai.request import chat_request
from router_model.serving.formats.translations.messages_to_openai.stream import MessageEvents

__all__ = ["MESSAGES_TO_OPENAI", "MessagesToOpenAI"]


class MessagesToOpenAI:
    """See `router_model.serving.formats.format.Translation`."""

    def request(self, body: Mapping[str, Any]) -> Json:
        """Return the body of ``/chat/completions``.

        Raises
        ------
        InvalidRequestError
            If something in it cannot be said in OpenAI's format and would change the answer; ``param`` names it.
        """
        return chat_request(body)

    def answer(self, answer: Json) -> Json:
        """Return the chat completion as a message; its usage is written by the surface.

        Raises
        ------
        UpstreamFailure
            If the arguments of a tool call are not a JSON object.
        """
        return message_answer(answer)

    def stream(self) -> MessageEvents:
        """Return what turns the chunks of one stream into events."""
        return MessageEvents()


MESSAGES_TO_OPENAI: Final[Translation] = MessagesToOpenAI()
