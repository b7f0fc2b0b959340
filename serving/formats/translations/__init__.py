"""From what a surface speaks to what a provider speaks, and back; one folder a pair."""

from serving.formats.translations.chat_to_anthropic import CHAT_TO_ANTHROPIC
from serving.formats.translations.messages_to_openai import MESSAGES_TO_OPENAI

__all__ = ["CHAT_TO_ANTHROPIC", "MESSAGES_TO_OPENAI"]
