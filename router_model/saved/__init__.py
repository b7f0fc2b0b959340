"""A trained router on disk: written whole, read with distrust."""
