"""The console: pages of the service for people, below ``/console`` (docs/console.md, docs/decisions/0052)."""
