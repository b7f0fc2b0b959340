"""HTTP as it comes in: what is refused at the door, how bodies are read, and how errors are answered."""
