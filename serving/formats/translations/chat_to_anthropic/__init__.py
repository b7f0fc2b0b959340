"""OpenAI's chat completions, answered by an Anthropic provider.

Simplifies: instructions in the middle of a conversation move to its beginning (``system``); names of speakers, the
detail of images and thinking that no Claude model signed are left out; ``json_object`` is a forced tool whose input
becomes the content.
"""

from typing import Final

from router_model.serving.formats.format import Translation
from router_model.serving.formats.translations.chat_to_anthropic.answer import chat_answer
from router_model.serving.formats.translations.chat_to_anthropic.request import anthropic_request
from router_model.serving.formats.translations.chat_to_anthropic.stream import ChatChunks

__all__ = ["CHAT_TO_ANTHROPIC"]

CHAT_TO_ANTHROPIC: Final = Translation(anthropic_request, chat_answer, ChatChunks)
