"""OpenAI's Responses: requests, answers and streams."""
