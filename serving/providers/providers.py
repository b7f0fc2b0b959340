"""The providers that can be called now, as the rest of the service sees them."""

from collections.abc import Mapping
from typing import Protocol

from serving.providers.http import Transport
from serving.providers.provider import Provider, Target


class KeyRing(Protocol):
    """The keys of one provider. One that is dead is left alone for a long while, one that is limited until then."""

    @property
    def needs_none(self) -> bool:
        """Whether the provider is called without a key."""

    def take(self) -> str | None:
        """Return the key to use now, in turn; None where none is left."""

    def kill(self, key: str) -> None:
        """Leave a key alone that the provider refused (401, 402, 403), until the keys are read again."""

    def pause(self, key: str, seconds: float) -> None:
        """Leave a key alone for so long (429)."""


class Providers(Protocol):
    """What ``providers.toml`` says, with connections; `serving.providers.fleet.Fleet` is one."""

    @property
    def all(self) -> Mapping[str, Provider]:
        """Providers by name, in the order of the file."""

    def targets(self, model: str) -> tuple[Target, ...]:
        """Return who serves a model, in the order of the file; empty where nobody does."""

    def transport(self, provider: Provider) -> Transport:
        """Return what sends a provider's requests."""

    def keys(self, provider: Provider) -> KeyRing:
        """Return a provider's keys."""

    async def close(self) -> None:
        """End all connections."""
