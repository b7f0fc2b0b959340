"""What all parts of the service build on: settings, errors, ids, and small tools without knowledge of routing."""
