"""Statistics that stay valid however often one looks: confidence sequences and sequential tests."""
