"""Anthropic's Messages, answered by an OpenAI-compatible provider.

Simplifies: marks for the cache, citations and thinking of earlier turns are left out (thinking that came from such a
provider goes back to it while tools are at work); images in results of tools follow in a user message; thinking budgets
become an effort.
"""

from typing import Final

from router_model.serving.formats.format import Translation
from router_model.serving.formats.translations.messages_to_openai.answer import message_answer
from router_model.serving.formats.translations.messages_to_openai.request import KNOWN, chat_request
from router_model.serving.formats.translations.messages_to_openai.stream import MessageEvents

__all__ = ["MESSAGES_TO_OPENAI"]

MESSAGES_TO_OPENAI: Final = Translation(chat_request, message_answer, MessageEvents, KNOWN)
