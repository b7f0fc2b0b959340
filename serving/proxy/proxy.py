"""The proxy: it calls the model that the request names, or the one that the engine chooses for ``auto``.

It asks the engine if the call leaves the choice to the router, forwards the call, and turns the reply into a response.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from router_model.serving.access.authentication import Access
from router_model.serving.common.callers import Caller
from router_model.serving.common.service_errors import EmptyPlanError, InvalidRequestError, ServiceError, TooLongError
from router_model.serving.decision_log.log_records import AttemptRecord
from router_model.serving.engine.engine import Engine
from router_model.serving.engine.engines import Engines
from router_model.serving.engine.query import Routed
from router_model.serving.formats.format import Surface
from router_model.serving.forwarding.deadlines import clock
from router_model.serving.forwarding.forwarder import Forwarder
from router_model.serving.forwarding.reply import AttemptObserver, ForwardRequest, Reply, no_extras
from router_model.serving.http_edge.bodies import BodyReader
from router_model.serving.http_edge.surface_errors import is_openrouters
from router_model.serving.monitoring.tracing import OFF, TracedCall, Tracing
from router_model.serving.providers.fleet import Fleet
from router_model.serving.providers.health import HealthState, Trouble
from router_model.serving.providers.provider import Target
from router_model.serving.proxy.account import Account
from router_model.serving.proxy.admitting import admit
from router_model.serving.proxy.cancel_on_disconnect import CancelOnDisconnect
from router_model.serving.proxy.candidates import Candidates
from router_model.serving.proxy.draining import UnderWay
from router_model.serving.proxy.naming import not_found
from router_model.serving.proxy.proxy_request import ProxyRequest, check_conversation, read_proxy_request
from router_model.serving.proxy.questions import check_effort, nobody_fits, query_of
from router_model.serving.proxy.recent_calls import RecentCalls
from router_model.serving.proxy.replies import (
    StreamAnswer,
    error_headers,
    openrouter_metadata,
    reply_headers,
    whole_answer,
)
from router_model.serving.proxy.stored_responses import StoredResponses


@dataclass(slots=True)
class Proxy:
    """Forwards calls of the service that it is part of.

    Attributes
    ----------
    providers : Fleet
    forwarder : Forwarder
    engines : Engines
        Decide for calls that do not name a model.
    access : Access
        Lets a call in, and sets its cost aside.
    bodies : BodyReader
        Works on long bodies in its thread.
    observers : are told of every attempt that is over, e.g. the log and the metrics
    tracing : Tracing
    longest_s : the longest time a call may take
    candidates : Candidates
    under_way : UnderWay
        The calls, for the end of a drain.
    stored : StoredResponses
        Answers of Responses that are kept.
    recent : RecentCalls
    """

    providers: Fleet
    forwarder: Forwarder
    engines: Engines
    access: Access
    bodies: BodyReader
    stored: StoredResponses
    observers: Sequence[AttemptObserver] = ()
    tracing: Tracing = OFF
    longest_s: float = 600.0
    candidates: Candidates = field(init=False)
    under_way: UnderWay = field(init=False, default_factory=UnderWay)
    recent: RecentCalls = field(init=False)

    def __post_init__(self) -> None:
        self.candidates = Candidates(self.providers)
        self.recent = self.stored.recent

    def start(self) -> None:
        """Check aliases, and warn of models without a price and of unknown efforts, now that the router is loaded.

        Raises
        ------
        SettingsError
            If an alias leads to a model that nobody has.
        """
        self.providers.check_aliases()
        self.providers.warn_of_missing_prices()
        self.candidates.warn_of_efforts()

    async def close(self) -> None:
        """End all connections."""
        await self.providers.close()

    async def reload(self) -> None:
        """Read the providers' file again.

        Raises
        ------
        SettingsError
            If it is wrong; what was read before stays.
        """
        await self.providers.reload()

    def connections(self, workers: int) -> int:
        """Return how many connections to providers there are, in all workers.

        So many calls at a time a key may have that says nothing else: three quarters of them over connections
        (`router_model.serving.common.shares`), the others waiting for one.
        """
        most = {one.connections_key: one.max_connections for one in self.providers.all.values()}
        return workers * sum(most.values())

    def breaker_states(self) -> Mapping[tuple[str, str], HealthState]:
        """Return the state of each breaker by (provider, model)."""
        now = clock()
        return {target: health.state(now) for target, health in self.forwarder.health.items()}

    def troubles(self) -> Mapping[tuple[str, str], Trouble]:
        """Return the last failure of each model that failed at a provider since the start, by (provider, model)."""
        now, now_utc = clock(), datetime.now(UTC)
        return {
            (provider, model): Trouble(
                provider, failure.error, now_utc - timedelta(seconds=now - failure.at), health.is_failing
            )
            for (provider, model), health in self.forwarder.health.items()
            if (failure := health.last_failure) is not None
        }

    def key_states(self) -> Mapping[tuple[str, str, str | None], HealthState]:
        """Return the state of each key by (provider, environment variable, model); None is the key as a whole."""
        now = clock()
        return {
            (name, *of): state
            for name, provider in self.providers.all.items()
            for of, state in self.providers.keys(provider).states_by_model(now).items()
        }

    @property
    def status(self) -> dict[str, Any]:
        """The proxy's state for operators; it never contains a key."""
        now = clock()
        return {
            "providers": {
                name: {
                    "kind": one.kind.value,
                    "base_url": one.base_url,
                    "models": dict(one.models),
                    "keys": self.providers.keys(one).states(),
                }
                for name, one in self.providers.all.items()
            },
            "breakers": [
                {"provider": provider, "model": model, **health.described(now)}
                for (provider, model), health in self.forwarder.health.items()
            ],
            "keys_put_aside": [
                {"provider": name, **one}
                for name, provider in self.providers.all.items()
                for one in self.providers.keys(provider).trouble(now)
            ],
        }

    def read(
        self, request: Request, caller: Caller, surface: Surface, body: dict[str, Any], **path: Any
    ) -> ProxyRequest:
        """Read a request; see `read_proxy_request` and `check_conversation`."""
        check_conversation(surface, body)
        return read_proxy_request(
            surface,
            body,
            request.headers,
            by_policy=partial(self.engines.by_policy, caller=caller),
            check_router=self.engines.check_named,
            is_model=self.candidates.names_exactly,
            most_s=self.longest_s,
            ours=self.candidates.provider_names,
            alias_of=self.providers.alias,
            for_openrouter=is_openrouters(request.scope),
            **path,
        )

    async def answer(self, request: Request, caller: Caller, asked: ProxyRequest) -> Response:
        """Decide, forward and answer.

        Raises
        ------
        ServiceError
            If no candidate could be called, or none answered.
        ClientDisconnect
            If the client left before there was an answer.
        NotReadyError
            If the service had to end before.
        """
        traced = self.tracing.call(asked.surface, asked.requested, request.scope["headers"], stream=asked.call.stream)
        try:
            with CancelOnDisconnect(request.scope, request.receive), self.under_way.whole():
                return await self._answer(request, caller, asked, traced)
        except BaseException as exc:
            traced.end(getattr(exc, "code", None) or type(exc).__name__)
            raise

    async def _answer(self, request: Request, caller: Caller, asked: ProxyRequest, traced: TracedCall) -> Response:
        asked = await self.stored.prepared(caller, asked)
        routed, targets = await self._plan(caller, asked)
        if routed is not None:
            traced.decided(decision_id=routed.decision_id, session_id=asked.session_id)
        targets, admission, worst_usd = admit(self.access, request.scope, caller, asked, targets)
        seen = (*self.observers, self.candidates.speeds.observe, self.recent.observe)
        account = Account(seen, admission, traced, worst_usd)
        try:
            reply = await self.forwarder.forward(self._forward_request(caller, asked, routed, targets, account))
            if routed is not None and reply.target.model != routed.model:
                model, session_id = reply.target.model, asked.session_id
                conversations = self._engine(caller, asked).conversations
                conversations.answered(routed, model, key_id=caller.key_id, session_id=session_id)
            account.heard = partial(self._heard, caller, asked, routed)
            return self._respond(reply, routed, account)
        except BaseException as exc:
            account.close()
            if isinstance(exc, ServiceError):
                exc.headers = error_headers(routed, account.n_attempts) | exc.headers
            raise

    def _forward_request(
        self, caller: Caller, asked: ProxyRequest, routed: Routed | None, targets: Sequence[Target], account: Account
    ) -> ForwardRequest:
        trace = account.traced.headers
        return ForwardRequest(
            replace(asked.call, trace=trace) if trace else asked.call,
            targets,
            decision_id=None if routed is None else routed.decision_id,
            key_id=caller.key_id,
            observe=account.observe,
            total_s=asked.total_s,
            buffer=asked.buffer,
            aside=partial(self.bodies.aside, caller) if asked.call.is_long else None,
            extras=partial(_extras, asked.requested, targets, routed) if asked.wants_metadata else no_extras,
        )

    def _respond(self, reply: Reply, routed: Routed | None, account: Account) -> Response:
        headers = reply_headers(reply, routed)
        if reply.stream is not None:
            account.stream(reply)
            return StreamAnswer(reply.stream, headers, self.under_way, account)
        account.whole(reply)
        return whole_answer(reply, headers)

    def _heard(self, caller: Caller, asked: ProxyRequest, routed: Routed | None, reply: Reply) -> None:
        if routed is not None and asked.session_id is None:
            conversations = self._engine(caller, asked).conversations
            conversations.heard(routed, reply.facts.mark, key_id=caller.key_id, user_id=asked.user_id)
        self.stored.keep(caller, asked, routed)

    async def _plan(self, caller: Caller, asked: ProxyRequest) -> tuple[Routed | None, Sequence[Target]]:
        """Return the decision, None if a model is forwarded as asked, and whom to call, best first.

        Raises
        ------
        InvalidRequestError, ModelNotFoundError, EmptyPlanError
        """
        for model in asked.models:
            self.check_known(model, asked)
        if asked.router is None:
            return None, self._named(asked)
        name, known = self.engines.choose(caller, asked.router)
        decidable = [model for model in asked.models if model in known]
        if asked.models and not decidable and known:
            return None, self._named(asked)
        if asked.surface is Surface.EMBEDDINGS:
            raise InvalidRequestError(
                f"model: got {asked.requested!r}; expected the id of an embedding model; the router does not choose "
                "one, because vectors of different models cannot be mixed",
                param="model",
            )
        return await self._decided(caller, asked, name, decidable, known)

    def _named(self, asked: ProxyRequest) -> Sequence[Target]:
        """Return whom to call for the models that a request names."""
        targets = self.candidates.targets(asked.models, asked.preferences, body=asked.call.body)
        check_effort(asked, targets)
        return targets

    def _engine(self, caller: Caller, asked: ProxyRequest) -> Engine:
        """Return the engine that has decided."""
        return self.engines[self.engines.chosen(asked.router, caller)]

    async def _decided(
        self, caller: Caller, asked: ProxyRequest, router: str, decidable: Sequence[str], known: Sequence[str]
    ) -> tuple[Routed, Sequence[Target]]:
        ask = partial(
            query_of,
            asked,
            key_id=caller.key_id,
            router=router,
            candidates=decidable,
            known=known,
            unavailable=self.candidates.unavailable(self.engines[router].cards or (), asked.preferences),
        )
        query = await self.bodies.aside(caller, ask) if asked.call.is_long else ask()
        try:
            routed = await self.engines.decide(query)
        except (EmptyPlanError, TooLongError) as exc:
            raise nobody_fits(exc, asked) from exc
        behind = [model for model in asked.models if model not in decidable]
        models = [*routed.plan.models, *behind]
        return routed, self.candidates.targets(models, asked.preferences)

    def check_known(self, model: str, asked: ProxyRequest) -> None:
        """Refuse a model that nobody knows or serves.

        Raises
        ------
        ModelNotFoundError, EmptyPlanError
        """
        if self.candidates.serves(model):
            return
        param = "models" if model in (asked.envelope.models or ()) else "model"
        models = self.engines.models
        if model not in models:
            known = {*models, *self.candidates.served_models}
            raise not_found(model, sorted(known), param=param)
        if len(asked.models) == 1:
            raise EmptyPlanError(f"no provider serves {model!r}; add it to one in the providers file", param=param)


def _extras(
    requested: str, targets: Sequence[Target], routed: Routed | None, attempts: Sequence[AttemptRecord]
) -> dict[str, Any]:
    return {"openrouter_metadata": openrouter_metadata(requested, targets, attempts, routed)}
