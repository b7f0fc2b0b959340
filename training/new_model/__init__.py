"""Add a model to a trained router, from prompts that the model has answered."""
