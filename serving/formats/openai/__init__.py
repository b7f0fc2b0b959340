"""OpenAI's chat completions, and what the many who speak the same format do differently."""

from router_model.serving.formats.openai.chat import OpenAIFormat

__all__ = ["OpenAIFormat"]
