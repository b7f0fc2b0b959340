"""What is spoken: OpenAI's, Anthropic's and Google's formats, each read as a provider's and written as a surface's."""
