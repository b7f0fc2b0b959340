"""Anthropic's Messages: as a provider's format, and as that of ``/v1/messages``."""
