"""The providers that can be called now, as the rest of the service sees them."""

from collections.abc import Mapping
from typing import Protocol

from router_model.serving.providers.http import Transport
from router_model.serving.providers.keys import KeyRing
from router_model.serving.providers.provider import Provider, Target


class Providers(Protocol):
    """What ``providers.toml`` says, with connections; `router_model.serving.providers.fleet.Fleet` is one."""

    @property
    def all(self) -> Mapping[str, Provider]:
        """Providers by name, in the order of the file."""

    def targets(self, model: str) -> tuple[Target, ...]:
        """Return who serves a model, in the order of the file; empty where nobody does."""

    def transport(self, provider: Provider) -> Transport:
        """Return what sends a provider's requests."""

    def keys(self, provider: Provider) -> KeyRing:
        """Return a provider's keys; new ones, which nothing is known of, once the file was read again."""

    async def close(self) -> None:
        """End all connections."""
