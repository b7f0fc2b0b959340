"""Who answers: the providers of ``providers.toml``, their keys, and the HTTP they are reached by."""
