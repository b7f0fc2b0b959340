"""Google's Gemini format: ``:generateContent`` and ``:streamGenerateContent`` of the Generative Language API."""

from serving.formats.gemini.errors import google_error_body
from serving.formats.gemini.format import GeminiFormat

__all__ = ["GeminiFormat", "google_error_body"]
