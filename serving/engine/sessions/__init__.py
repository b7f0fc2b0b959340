"""Sessions: a conversation keeps its model unless switching pays for the lost prompt cache."""
