"""What the surfaces work with, put together once by `router_model.serving.app`."""

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

from starlette.requests import Request

from router_model.router import Router
from router_model.serving.access.admission import Admission
from router_model.serving.access.callers import Caller, Role
from router_model.serving.access.owners import DecisionOwners
from router_model.serving.api.bodies import BodyReader
from router_model.serving.api.body_limits import BodyLimits
from router_model.serving.decision_log.log import DecisionLog
from router_model.serving.engine.query import Query, Routed
from router_model.serving.errors import ServiceError
from router_model.serving.settings import Settings
from router_model.serving.telemetry import Telemetry
from router_model.serving.tracing import OFF, Tracing

if TYPE_CHECKING:
    from router_model.serving.proxy.proxy import Proxy  # it works with the parts, too


class Reloaded(Protocol):
    """What a reload found."""

    @property
    def artifact(self) -> str:
        """Content hash of what is served now."""

    @property
    def changed(self) -> bool:
        """Whether that is another one than before."""


class Decider(Protocol):
    """What decides; `router_model.serving.engine.engine.Engine` is one."""

    @property
    def router(self) -> Router | None:
        """The router that decides now; None where none could be loaded."""

    @property
    def policy_version(self) -> str:
        """Name of the policy that decides now."""

    @property
    def ready(self) -> bool:
        """Whether requests are answered by a router."""

    @property
    def status(self) -> Mapping[str, Any]:
        """What an operator wants to know."""

    async def start(self) -> None:
        """Begin to watch the artifact."""

    async def close(self) -> None:
        """Stop."""

    async def decide(self, query: Query) -> Routed:
        """Decide; raise a `ServiceError` where a request cannot be."""

    async def decide_batch(self, queries: Sequence[Query]) -> list[Routed | ServiceError]:
        """Decide for each, in their order."""

    def answered(self, query: Query, routed: Routed, model: str) -> None:
        """Take note of the model that answered, where another one was decided on."""

    async def reload(self) -> Reloaded:
        """Load the artifact anew."""


class Access(Protocol):
    """What lets callers in; `router_model.serving.access.authentication.Access` is one."""

    def authenticate(self, scope: MutableMapping[str, Any], *roles: Role) -> Caller:
        """Return who calls, if they may do what needs one of the roles, and count it.

        Raises
        ------
        UnauthenticatedError, ForbiddenError, RateLimitedError
        """

    def admit(
        self, scope: MutableMapping[str, Any], caller: Caller, worst_usd: Callable[[], Decimal], *, within_s: float
    ) -> Admission:
        """Let a caller call a model: within its calls at a time, and with what that may cost set aside.

        Raises
        ------
        RateLimitedError, BudgetExceededError, NotReadyError
        """

    def close(self) -> None:
        """Close the budgets' file."""

    def count_more(self, caller: Caller, n: int) -> None:
        """Count `n` requests beside the one that was authenticated.

        Raises
        ------
        RateLimitedError
        """


@dataclass(slots=True)
class Parts:
    """The service's parts.

    Attributes
    ----------
    settings, engine, log, access, telemetry, tracing
    bodies : BodyReader
    owners : DecisionOwners
        Tells whose decision an id is.
    proxy : Proxy or None
        None: the settings name no providers, and nothing is forwarded.
    draining : bool
        Set on SIGTERM: requests that are under way are finished, new ones go elsewhere.
    """

    settings: Settings
    engine: Decider
    log: DecisionLog
    access: Access
    telemetry: Telemetry = field(default_factory=Telemetry)
    proxy: "Proxy | None" = None
    tracing: Tracing = OFF
    owners: DecisionOwners = field(default_factory=DecisionOwners)
    draining: bool = False
    bodies: BodyReader = field(init=False)

    def __post_init__(self) -> None:
        self.bodies = BodyReader(BodyLimits.of(self.settings))

    @property
    def models(self) -> tuple[str, ...]:
        """Ids of the candidates; empty where there is no router."""
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
