"""What all parts of the service stand on: settings, errors, ids, and small tools that know nothing of routing."""
