"""What a trained router is worth: replayed on a table, certified, and tried on reworded prompts."""
