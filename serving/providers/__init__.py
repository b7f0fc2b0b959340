"""Providers: those of ``providers.toml``, their keys, and the HTTP client that calls them."""
