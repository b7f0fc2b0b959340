"""Near duplicates: prompts of nearly the same text, within a table and between a table and a router's training prompts.

What one prompt's outcomes are, nearly tells those of its near duplicates (twins). So twins must be on one side of a
split and in one fold, and a router must not be measured on twins of its training prompts.
"""
