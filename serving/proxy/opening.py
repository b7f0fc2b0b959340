"""Build the proxy that the settings ask for."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final

from router_model.catalog import Catalog, ModelCard
from router_model.serving.access.authentication import Access
from router_model.serving.common.settings import Settings
from router_model.serving.decision_log.log import DecisionLog
from router_model.serving.engine.engines import Engines
from router_model.serving.formats.registry import adapter_for
from router_model.serving.forwarding.forwarder import Forwarder
from router_model.serving.forwarding.rules import Rules
from router_model.serving.http_edge.bodies import BodyReader
from router_model.serving.monitoring.telemetry import Telemetry
from router_model.serving.monitoring.tracing import Tracing
from router_model.serving.providers.fleet import Fleet
from router_model.serving.proxy.naming import check_alias
from router_model.serving.proxy.proxy import Proxy
from router_model.serving.proxy.recent_calls import RecentCalls
from router_model.serving.proxy.stored_responses import StoredResponses, check_storing

_NO_CARDS: Final[Mapping[str, ModelCard]] = {}


def open_proxy(
    settings: Settings,
    engines: Engines,
    access: Access,
    bodies: BodyReader,
    *,
    log: DecisionLog,
    telemetry: Telemetry,
    tracing: Tracing,
) -> Proxy | None:
    """Return the proxy; None if the settings name no providers. Nothing is connected to yet.

    Raises
    ------
    SettingsError
        If anything in the file of providers is wrong, or responses are to be kept by a log that may not have them.
    CatalogError
        If the settings name a catalog that cannot be read.
    """
    if settings.providers is None:
        return None
    check_storing(settings)
    check = partial(check_alias, routers=tuple(engines))
    cards = _Cards(engines, settings.catalog).now
    fleet = Fleet(settings.providers, cards, check=check, all_known=lambda: not engines.unready)
    rules = Rules(max_attempts=settings.proxy_max_attempts, keep_alive_s=settings.proxy_keep_alive_s)
    stored = StoredResponses(settings, log, fleet, bodies, RecentCalls(), telemetry.count_response)
    return Proxy(
        fleet,
        Forwarder(fleet, adapter_for, rules=rules),
        engines,
        access,
        bodies,
        stored,
        observers=(log.put, telemetry.attempt_observer(fleet.names)),
        tracing=tracing,
        longest_s=settings.proxy_total_s,
    )


class _Cards:
    """The catalog in use: the routers', or if there is none the one that the settings name."""

    def __init__(self, engines: Engines, path: Path | None) -> None:
        self._engines = engines
        self._named = _NO_CARDS if path is None else Catalog.load(path).cards

    def now(self) -> Mapping[str, ModelCard]:
        """Return the cards by model."""
        cards = self._engines.cards
        return self._named if cards is None else cards
