"""The parts that endpoints work with; `router_model.serving.app` puts them together when it starts."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from router_model.serving.access.authentication import Access
from router_model.serving.access.owners import DecisionOwners
from router_model.serving.common.callers import Caller, Role
from router_model.serving.common.service_errors import NotFoundError
from router_model.serving.common.settings import Settings
from router_model.serving.decision_log.log import DecisionLog
from router_model.serving.engine.engines import Engines
from router_model.serving.formats.format import Surface
from router_model.serving.http_edge.bodies import IS_LONG, BodyReader
from router_model.serving.http_edge.paths import PATH_MODEL
from router_model.serving.monitoring.telemetry import Telemetry
from router_model.serving.monitoring.tracing import OFF, Tracing
from router_model.serving.proxy.proxy import Proxy
from router_model.serving.proxy.proxy_request import ProxyRequest

Change: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]


def _begun() -> asyncio.Event:
    """Return an event that has happened: parts whose start nobody awaits answer at once."""
    event = asyncio.Event()
    event.set()
    return event


@dataclass(slots=True)
class Parts:
    """The service's parts.

    Attributes
    ----------
    settings, engines, log, access, bodies, telemetry, tracing
    owners : DecisionOwners
        Tells whose decision an id is.
    proxy : Proxy or None
        None: the settings name no providers, and nothing is forwarded.
    started : asyncio.Event
        Cleared while the router is loaded at the start.
    draining : bool
        Set on SIGTERM: requests that are under way are finished, new ones go elsewhere.
    """

    settings: Settings
    engines: Engines
    log: DecisionLog
    access: Access
    bodies: BodyReader
    telemetry: Telemetry = field(default_factory=Telemetry)
    proxy: Proxy | None = None
    tracing: Tracing = OFF
    owners: DecisionOwners = field(default_factory=DecisionOwners)
    started: asyncio.Event = field(default_factory=_begun)
    draining: bool = False

    @property
    def models(self) -> tuple[str, ...]:
        """Ids of the candidates of all routers; empty if there is none."""
        return self.engines.models

    @property
    def providers(self) -> dict[str, str | None]:
        """The candidates' providers, by model."""
        cards = self.engines.cards or {}
        return {model: cards[model].provider for model in self.models}

    def update_gauges(self) -> None:
        """Let the metrics know the state of this worker."""
        self.telemetry.update(self.log.stats)
        for name, engine in self.engines.items():
            self.telemetry.update_router(name, engine.status, engine.router, is_ready=engine.ready)
        if self.proxy is not None:
            names = self.proxy.providers.names
            self.telemetry.set_breakers(self.proxy.breaker_states(), names)
            for (provider, key, limited), state in self.proxy.key_states().items():
                self.telemetry.set_key(provider, key, limited, state.value, is_listed=names(limited))


def parts_of(request: Request) -> Parts:
    """Return the parts of the service that got a request."""
    parts: Parts = request.app.state.parts
    return parts


def open_call(request: Request) -> tuple[Parts, Proxy, Caller]:
    """Return what forwards, and the caller, who may forward.

    Raises
    ------
    NotFoundError
        If nothing is forwarded here.
    """
    parts = parts_of(request)
    caller = parts.access.authenticate(request.scope, Role.PROXY)
    if parts.proxy is None:
        raise NotFoundError("no providers configured, so nothing is forwarded; see --providers (or ROUTER_PROVIDERS)")
    return parts, parts.proxy, caller


async def forward(request: Request, surface: Surface, change: Change | None = None, **path: Any) -> Response:
    """Forward a call; `change` checks the body, or makes the surface's of another one."""
    parts, proxy, caller = open_call(request)
    named = request.scope.get(PATH_MODEL)  # an Azure deployment

    def read(body: dict[str, Any]) -> ProxyRequest:
        if named is not None:
            body = body | {"model": named}
        if change is not None:
            body = change(body)
        return proxy.read(request, caller, surface, body, is_long=request.scope.get(IS_LONG, False), **path)

    asked = await parts.bodies.read(request, caller, read)
    return await proxy.answer(request, caller, asked)
