"""What people see of a benchmark: one HTML file, and tables in the terminal."""
