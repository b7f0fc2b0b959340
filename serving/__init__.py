"""The decision service. Nothing is served yet: it arrives with the decision API (see CHANGELOG)."""
