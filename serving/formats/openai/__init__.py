"""OpenAI's chat completions, and what the many who speak the same format do differently."""
