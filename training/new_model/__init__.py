"""Add a model to a trained router, from the prompts that it has answered."""
