"""Google's Gemini format: ``:generateContent`` and ``:streamGenerateContent`` of the Generative Language API."""

from router_model.serving.formats.gemini.error_body import google_error_body
from router_model.serving.formats.gemini.format import GeminiFormat

__all__ = ["GeminiFormat", "google_error_body"]
