"""Deciding in a service: sessions, exploration, deadlines, reloading."""
