"""Outcome tables and logs become a trained, measured router here."""
