"""The sub-commands of `router-model` that belong to the service."""
