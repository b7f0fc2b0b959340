"""OpenAI's chat completions, and the variants of the many servers that speak this format."""
