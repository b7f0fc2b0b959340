"""The parts that endpoints work with; `router_model.serving.app` puts them together when it starts."""

from dataclasses import dataclass, field

from starlette.requests import Request

from router_model.serving.access.authentication import Access
from router_model.serving.access.owners import DecisionOwners
from router_model.serving.common.settings import Settings
from router_model.serving.decision_log.log import DecisionLog
from router_model.serving.engine.engine import Engine
from router_model.serving.http_edge.bodies import BodyReader
from router_model.serving.monitoring.telemetry import Telemetry
from router_model.serving.monitoring.tracing import OFF, Tracing
from router_model.serving.proxy.proxy import Proxy


@dataclass(slots=True)
class Parts:
    """The service's parts.

    Attributes
    ----------
    settings, engine, log, access, bodies, telemetry, tracing
    owners : DecisionOwners
        Tells whose decision an id is.
    proxy : Proxy or None
        None: the settings name no providers, and nothing is forwarded.
    draining : bool
        Set on SIGTERM: requests that are under way are finished, new ones go elsewhere.
    """

    settings: Settings
    engine: Engine
    log: DecisionLog
    access: Access
    bodies: BodyReader
    telemetry: Telemetry = field(default_factory=Telemetry)
    proxy: Proxy | None = None
    tracing: Tracing = OFF
    owners: DecisionOwners = field(default_factory=DecisionOwners)
    draining: bool = False

    @property
    def models(self) -> tuple[str, ...]:
        """Ids of the candidates; empty if there is no router."""
        router = self.engine.router
        return () if router is None else router.models

    @property
    def providers(self) -> dict[str, str | None]:
        """The candidates' providers, by model."""
        router = self.engine.router
        return {} if router is None else {model: router.catalog[model].provider for model in router.models}

    def update_gauges(self) -> None:
        """Let the metrics know the state of this worker."""
        self.telemetry.update(self.log.stats, self.engine.status)
        if self.proxy is not None:
            names = self.proxy.providers.names
            self.telemetry.set_breakers(self.proxy.breaker_states(), names)
            for (provider, key, limited), state in self.proxy.key_states().items():
                self.telemetry.set_key(provider, key, limited, state.value, is_listed=names(limited))


def parts_of(request: Request) -> Parts:
    """Return the parts of the service that got a request."""
    parts: Parts = request.app.state.parts
    return parts
