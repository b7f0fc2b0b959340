"""Anthropic's Messages: as a provider's format, and as that of ``/v1/messages``."""

from router_model.serving.formats.anthropic.error_body import anthropic_error_body
from router_model.serving.formats.anthropic.messages_format import AnthropicFormat

__all__ = ["AnthropicFormat", "anthropic_error_body"]
