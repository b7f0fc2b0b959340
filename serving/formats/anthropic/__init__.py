"""Anthropic's Messages: the format of providers, and the format of ``/v1/messages``."""
