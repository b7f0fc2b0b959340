"""Formats: OpenAI's, Anthropic's and Google's, each read from providers and written for callers."""
