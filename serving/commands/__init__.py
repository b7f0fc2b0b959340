"""Sub-commands of ``router-model`` that concern the service."""
