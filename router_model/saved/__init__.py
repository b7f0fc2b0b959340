"""Save a trained router to disk, and load it with checks that do not trust the files."""
