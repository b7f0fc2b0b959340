"""From a surface's format to a provider's, and back."""

from serving.formats.translations.gemini import CHAT_TO_GEMINI, GENERATE_TO_OPENAI

__all__ = ["CHAT_TO_GEMINI", "GENERATE_TO_OPENAI"]
