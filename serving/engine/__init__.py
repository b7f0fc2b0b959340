"""The engine: decisions in a running service, with sessions, exploration, deadlines and reloading."""
