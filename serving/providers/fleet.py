"""All callable providers: read from ``providers.toml``, with their connections and keys."""

import asyncio
import logging
import os
from collections.abc import Callable, Hashable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TypeAlias

from router_model.catalog import ModelCard
from router_model.serving.common.service_errors import SettingsError
from router_model.serving.providers.config import Alias, load_aliases, load_providers
from router_model.serving.providers.echo import EchoTransport
from router_model.serving.providers.http import Transport
from router_model.serving.providers.keys import KeyRing
from router_model.serving.providers.provider import STAR, Kind, Provider, Target
from router_model.serving.providers.secret_values import read_keys, read_proxy
from router_model.serving.providers.transport import AiohttpTransport, Connecting

Cards: TypeAlias = Mapping[str, ModelCard]
Check: TypeAlias = Callable[[Alias, Callable[[str], bool] | None], None]
_RingKey: TypeAlias = tuple[str, str, tuple[str, ...]]

_logger = logging.getLogger(__name__)


class Fleet:
    """The providers that can be called now: what ``providers.toml`` says, with connections to them.

    Parameters
    ----------
    path : of the file
    cards : returns the catalog's cards by model as they are now; prices may change while the service runs
    environ : where keys are looked up; default: the process' environment
    check : raises `SettingsError` for options of an alias that no request could have, and for an alias to no known
        model, once there is a function that tells which are known
    all_known : tells whether `cards` has all that it is meant to have; until then nobody says where aliases may lead

    Raises
    ------
    SettingsError
        If the file is missing, or anything in it is wrong.
    """

    def __init__(
        self,
        path: Path,
        cards: Callable[[], Cards],
        *,
        environ: Mapping[str, str] | None = None,
        check: Check | None = None,
        all_known: Callable[[], bool] = lambda: True,
    ) -> None:
        self._path = path
        self._check = check
        self._all_known = all_known
        self._is_unchecked = False
        self._aliases: tuple[Alias, ...] = ()
        self._cards = cards
        self._environ = os.environ if environ is None else environ
        self._transports: dict[Hashable, AiohttpTransport] = {}
        self._echo = EchoTransport()
        self._retired: list[AiohttpTransport] = []
        self._reloading = asyncio.Lock()
        self._providers: dict[str, Provider] = {}
        self._rings: dict[_RingKey, KeyRing] = {}
        self._cards_of_known: Cards = {}
        self._known: dict[str, tuple[Target, ...]] = {}
        self._read: tuple[int, int, int] | None = None
        self._take(*self._load())

    @property
    def all(self) -> Mapping[str, Provider]:
        """Providers by name, in the order of the file."""
        return self._providers

    @property
    def models(self) -> Mapping[str, ModelCard | None]:
        """Our ids that are served, with their cards: those that the file names, then those of the catalog.

        A star may serve more than the catalog has: `targets` says of any id.
        """
        cards = self._cards()
        named = (model for provider in self._providers.values() for model in provider.models if STAR not in model)
        return {model: cards.get(model) for model in dict.fromkeys((*named, *filter(self.targets, cards)))}

    def names(self, model: str | None) -> bool:
        """Tell whether the file or the catalog names a model; others that a star serves are callers' words."""
        cards = self._cards()
        if model in cards or any(model in provider.models for provider in self._providers.values()):
            return True
        return any(card.base_model == model for card in cards.values()) if model is not None else False

    def targets(self, model: str) -> tuple[Target, ...]:
        """Return the candidates for a model, in the order of the file; empty if no provider serves it."""
        cards = self._cards()
        if cards is not self._cards_of_known:
            self._cards_of_known, self._known = cards, {}
        found = self._known.get(model)
        if found is None:
            found = self._found(model, cards.get(model))
            if model in cards:  # other ids are callers' words, and endless
                self._known[model] = found
        return found

    def transport(self, provider: Provider) -> Transport:
        """Return what sends a provider's requests; also those of a provider that was in the file before."""
        if provider.kind is Kind.ECHO:
            return self._echo
        key = provider.connections_key
        transport = self._transports.get(key)
        if transport is None:
            transport = self._transports[key] = AiohttpTransport(self._connecting(provider))
        return transport

    def keys(self, provider: Provider) -> KeyRing:
        """Return a provider's keys."""
        key = _ring_key(provider)
        ring = self._rings.get(key)
        if ring is None:
            ring = self._rings[key] = self._ring(provider)
        return ring

    async def reload(self) -> None:
        """Read the file again; calls that are under way end as they began. Keys that were paused are tried again.

        Raises
        ------
        SettingsError
            If the new file is wrong: what was there before stays.
        """
        async with self._reloading:
            providers, aliases = await asyncio.to_thread(self._load)
            self._check_models(providers, aliases)
            self._take(providers, aliases)
            self.warn_of_missing_prices()
            served = {provider.connections_key for provider in self._providers.values()}
            retired = [self._transports.pop(key) for key in self._transports.keys() - served]
            self._retired = [transport for transport in (*self._retired, *retired) if transport.n_open]
            for transport in retired:
                await transport.retire()
        _logger.info("the providers file was read again: %s", ", ".join(self._providers))

    async def follow(self) -> None:
        """Read the file again if it has changed; if the new one is wrong, that is said once, and the old one stays.

        Aliases that could not be checked before are checked once all models are known; a wrong one is said once.
        """
        if self._signature() != self._read:
            try:
                await self.reload()
            except SettingsError as exc:
                _logger.error("%s; the providers that were read before stay in use", exc)  # noqa: TRY400
        if self._is_unchecked and self._all_known():
            try:
                self.check_aliases()
            except SettingsError as exc:
                _logger.warning("%s; requests that name the alias fail", exc)

    async def close(self) -> None:
        """End all connections."""
        for transport in (*self._transports.values(), *self._retired):
            await transport.close()

    def check_aliases(self) -> None:
        """Check where aliases lead; once the catalog is loaded. While not all is known, `follow` checks them later.

        Raises
        ------
        SettingsError
            If one leads to a model that neither a provider nor the catalog has.
        """
        self._check_models(tuple(self._providers.values()), self._aliases)

    def _check_models(self, providers: Sequence[Provider], aliases: Sequence[Alias]) -> None:
        self._is_unchecked = not self._all_known()
        if self._is_unchecked:  # what a router that is missing knows is not known
            return
        cards = self._cards()

        def knows(model: str) -> bool:
            # Models of the catalog that nobody serves may be chosen by who only asks for decisions.
            return model in cards or any(one.upstream_model(model) is not None for one in providers)

        # Without providers and without a router, aliases are names of options alone.
        if self._check is not None and (providers or cards):
            for alias in aliases:
                self._check(alias, knows)

    def alias(self, model: str) -> Alias | None:
        """Return what a name means; None if it means itself. An exact name goes before globs, these in their order."""
        exact = (one for one in self._aliases if one.pattern == model)
        return next(exact, None) or next((one for one in self._aliases if fnmatchcase(model, one.pattern)), None)

    def _signature(self) -> tuple[int, int, int] | None:
        """Return what changes with the file; None if it is not there."""
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _load(self) -> tuple[tuple[Provider, ...], tuple[Alias, ...]]:
        self._read = self._signature()
        aliases = load_aliases(self._path)
        if self._check is not None:
            for alias in aliases:
                self._check(alias, None)
        return load_providers(self._path, self._environ), aliases

    def _take(self, providers: Sequence[Provider], aliases: tuple[Alias, ...]) -> None:
        rings = {_ring_key(provider): self._ring(provider) for provider in providers}  # may raise: nothing changed yet
        self._providers = {provider.name: provider for provider in providers}
        self._rings, self._aliases = rings, aliases
        self._cards_of_known, self._known = self._cards(), {}

    def _found(self, model: str, card: ModelCard | None) -> tuple[Target, ...]:
        served = model if card is None else card.served_model
        pairs = ((provider, provider.upstream_model(served)) for provider in self._providers.values())
        return tuple(Target(model, provider, upstream, card) for provider, upstream in pairs if upstream is not None)

    def warn_of_missing_prices(self) -> None:
        """Name the models without a price; once the catalog is loaded."""
        unpriced = [model for model, card in self.models.items() if card is None]
        if unpriced:
            _logger.warning(
                "no price in the catalog for %s: their answers carry a cost of null, and no budget counts them",
                ", ".join(unpriced),
            )

    def _ring(self, provider: Provider) -> KeyRing:
        return KeyRing(read_keys(provider.key_variables, self._environ, where=f"provider {provider.name!r}"))

    def _connecting(self, provider: Provider) -> Connecting:
        name = provider.proxy_variable
        url = None if name is None else read_proxy(name, self._environ, where=f"provider {provider.name!r}")
        return Connecting(provider.max_connections, provider.deadlines.connect_s, url)


def _ring_key(provider: Provider) -> _RingKey:
    """Return the settings that keys depend on; the URL is one, because a key must never go to a provider's old URL."""
    return provider.name, provider.base_url, provider.key_variables
