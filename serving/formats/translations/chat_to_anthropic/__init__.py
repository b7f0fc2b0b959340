"""OpenAI's chat completions, answered by an Anthropic provider.

Simplifies: instructions in the middle of a conversation move to its beginning (``system``); names of speakers, the
detail of images and thinking that no Claude model signed are left out; ``json_object`` is a forced tool whose input
becomes the content.
"""

from collections.abc import Mapping
from typing import Any, Final

from router_model.serving.formats.format import Translation
from router_model.serving.formats.shapes import Json
from router_model.serving.formats.translations.chat_to_anthropic.answer import chat_answer
from router_model.serving.formats.translations.chat_to_anthropic.request import anthropic_request
from router_model.serving.formats.translations.chat_to_anthropic.stream import ChatChunks

__all__ = ["CHAT_TO_ANTHROPIC", "ChatToAnthropic"]


class ChatToAnthropic:
    """See `router_model.serving.formats.format.Translation`."""

    def request(self, body: Mapping[str, Any]) -> Json:
        """Return the body of ``/v1/messages``.

        Raises
        ------
        InvalidRequestError
            If something in it cannot be said to Anthropic and would change the answer; ``param`` names it.
        """
        return anthropic_request(body)

    def answer(self, answer: Json) -> Json:
        """Return the message as a ``chat.completion``; its usage is written by the surface."""
        return chat_answer(answer)

    def stream(self) -> ChatChunks:
        """Return what turns the events of one stream into chunks."""
        return ChatChunks()


CHAT_TO_ANTHROPIC: Final[Translation] = ChatToAnthropic()
