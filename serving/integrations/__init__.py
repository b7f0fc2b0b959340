"""Integrations that let other gateways and clients ask the decision service; see docs/integrations.md.

What is in here runs in their processes and imports nothing of this project.
"""
