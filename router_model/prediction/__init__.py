"""From the features of a prompt to what every model is expected to make of it."""
