"""From what a surface speaks to what a provider speaks, and back."""

from router_model.serving.formats.translations.chat_to_anthropic import CHAT_TO_ANTHROPIC
from router_model.serving.formats.translations.chat_to_gemini import CHAT_TO_GEMINI
from router_model.serving.formats.translations.generate_to_openai import GENERATE_TO_OPENAI
from router_model.serving.formats.translations.messages_to_openai import MESSAGES_TO_OPENAI

__all__ = ["CHAT_TO_ANTHROPIC", "CHAT_TO_GEMINI", "GENERATE_TO_OPENAI", "MESSAGES_TO_OPENAI"]
