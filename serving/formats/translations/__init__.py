"""Translations from a surface's format to a provider's format, and back."""
