"""Show a benchmark to people: as one HTML file, and as tables in the terminal."""
