"""From what a surface speaks to what a provider speaks, and back."""
