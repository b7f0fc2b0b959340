"""Other people's gateways and clients, set up to ask the decision service: docs/integrations.md.

What is in here runs in their processes and imports nothing of this project.
"""
