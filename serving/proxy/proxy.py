"""The proxy: decide where that is asked, forward, answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from router_model.serving.access.callers import Caller
from router_model.serving.api.parts import Parts
from router_model.serving.decision_log.log_records import AttemptRecord
from router_model.serving.engine.query import Query, Routed
from router_model.serving.errors import EmptyPlanError, InvalidRequestError, ServiceError
from router_model.serving.formats.format import Surface
from router_model.serving.forwarding.deadlines import clock
from router_model.serving.forwarding.forwarder import Forwarder
from router_model.serving.forwarding.reply import ForwardRequest, Reply, no_extras
from router_model.serving.providers.fleet import Fleet
from router_model.serving.providers.health import HealthState
from router_model.serving.providers.provider import Target
from router_model.serving.proxy.account import Account
from router_model.serving.proxy.admitting import admit
from router_model.serving.proxy.answers import StreamAnswer, error_headers, reply_headers, whole_answer
from router_model.serving.proxy.candidates import Candidates
from router_model.serving.proxy.draining import UnderWay
from router_model.serving.proxy.leaving import Leaving
from router_model.serving.proxy.metadata import openrouter_metadata
from router_model.serving.proxy.naming import not_found
from router_model.serving.proxy.proxy_request import ProxyRequest, read_proxy_request
from router_model.serving.proxy.questions import query_of
from router_model.serving.tracing import TracedCall


@dataclass(frozen=True, slots=True)
class Plan:
    """What is called for a request.

    Attributes
    ----------
    targets : best first
    query, routed : the decision; None where a model is forwarded as asked
    """

    targets: Sequence[Target]
    query: Query | None = None
    routed: Routed | None = None


@dataclass(slots=True)
class Proxy:
    """Forwards calls of the service it is part of.

    Attributes
    ----------
    providers : Fleet
    forwarder : Forwarder
    candidates : Candidates
    under_way : UnderWay
        The calls, for the end of a drain.
    """

    providers: Fleet
    forwarder: Forwarder
    candidates: Candidates = field(init=False)
    under_way: UnderWay = field(init=False, default_factory=UnderWay)

    def __post_init__(self) -> None:
        self.candidates = Candidates(self.providers)

    def start(self) -> None:
        """Say what is amiss, now that the router is loaded."""
        self.providers.warn_of_missing_prices()

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
        (`router_model.serving.engine.shares`), the others waiting for one.
        """
        most = {one.connections_key: one.max_connections for one in self.providers.all.values()}
        return workers * sum(most.values())

    def breaker_states(self) -> Mapping[tuple[str, str], HealthState]:
        """Return the state of each breaker by (provider, model)."""
        now = clock()
        return {target: health.state(now) for target, health in self.forwarder.health.items()}

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
        """What an operator wants to know; never a key."""
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

    def read(self, request: Request, parts: Parts, surface: Surface, body: dict[str, Any], **path: Any) -> ProxyRequest:
        """Read a request; see `read_proxy_request`."""
        return read_proxy_request(
            surface,
            body,
            request.headers,
            policy=parts.engine.policy_version,
            most_s=parts.settings.proxy_total_s,
            ours=self.candidates.provider_names,
            **path,
        )

    async def answer(self, request: Request, parts: Parts, caller: Caller, asked: ProxyRequest) -> Response:
        """Decide, forward and answer.

        Raises
        ------
        ServiceError
            If nobody could be called, or nobody answered.
        ClientDisconnect
            If the client left before there was an answer.
        NotReadyError
            If the service had to end before.
        """
        traced = parts.tracing.call(
            asked.surface, asked.named.requested, request.scope["headers"], stream=asked.call.stream
        )
        try:
            with Leaving(request.receive), self.under_way.whole():
                return await self._answer(request, parts, caller, asked, traced)
        except BaseException as exc:
            traced.end(getattr(exc, "code", None) or type(exc).__name__)
            raise

    async def _answer(
        self, request: Request, parts: Parts, caller: Caller, asked: ProxyRequest, traced: TracedCall
    ) -> Response:
        plan = await self._plan(parts, caller, asked)
        if plan.routed is not None:
            traced.decided(decision_id=plan.routed.decision_id, session_id=asked.session_id)
        targets, admission, worst_usd = admit(parts.access, request.scope, caller, asked, plan.targets)
        plan = replace(plan, targets=targets)
        is_listed, speeds = self.providers.names, self.candidates.speeds
        account = Account(parts.log, parts.telemetry, speeds, is_listed, admission, traced, worst_usd)
        try:
            reply = await self.forwarder.forward(self._forward_request(parts, plan, caller, asked, account))
            return self._respond(parts, plan, reply, account)
        except BaseException as exc:
            account.close()
            if isinstance(exc, ServiceError):
                exc.headers = error_headers(plan.routed, account.n_attempts) | exc.headers
            raise

    def _forward_request(
        self, parts: Parts, plan: Plan, caller: Caller, asked: ProxyRequest, account: Account
    ) -> ForwardRequest:
        trace = account.traced.headers
        return ForwardRequest(
            replace(asked.call, trace=trace) if trace else asked.call,
            plan.targets,
            decision_id=None if plan.routed is None else plan.routed.decision_id,
            key_id=caller.key_id,
            observe=account.observe,
            total_s=asked.total_s,
            buffer=asked.buffer,
            aside=partial(parts.bodies.aside, caller) if asked.call.is_long else None,
            extras=partial(_extras, asked.named.requested, plan) if asked.wants_metadata else no_extras,
        )

    def _respond(self, parts: Parts, plan: Plan, reply: Reply, account: Account) -> Response:
        if plan.query is not None and plan.routed is not None and reply.target.model != plan.routed.model:
            parts.engine.answered(plan.query, plan.routed, reply.target.model)
        headers = reply_headers(reply, plan.routed)
        if reply.stream is not None:
            account.stream(reply)
            return StreamAnswer(reply.stream, headers, self.under_way, account)
        account.close()
        return whole_answer(reply, headers)

    async def _plan(self, parts: Parts, caller: Caller, asked: ProxyRequest) -> Plan:
        """Return whom to call.

        Raises
        ------
        InvalidRequestError, ModelNotFoundError, EmptyPlanError
        """
        named = asked.named
        for model in named.models:
            self._check_known(model, parts, asked)
        decidable = [model for model in named.models if model in parts.models]
        if not named.routes or (named.models and not decidable and parts.models):
            return Plan(self.candidates.targets(named.models, asked.preferences, body=asked.call.body))
        if asked.surface is Surface.EMBEDDINGS:
            raise InvalidRequestError(
                f"model: got {named.requested!r}; expected an embedding model's id: vectors of different models do not "
                "mix, so none is chosen for you",
                param="model",
            )
        return await self._decided(parts, caller, asked, decidable)

    async def _decided(self, parts: Parts, caller: Caller, asked: ProxyRequest, decidable: Sequence[str]) -> Plan:
        unavailable = self.candidates.unavailable(parts.engine.router, asked.preferences)
        ask = partial(
            query_of,
            asked,
            key_id=caller.key_id,
            candidates=decidable,
            known=parts.models,
            unavailable=unavailable,
        )
        query = await parts.bodies.aside(caller, ask) if asked.call.is_long else ask()
        routed = await parts.engine.decide(query)
        behind = [model for model in asked.named.models if model not in decidable]
        models = [step.model for step in routed.plan] + behind
        return Plan(self.candidates.targets(models, asked.preferences), query, routed)

    def _check_known(self, model: str, parts: Parts, asked: ProxyRequest) -> None:
        if self.candidates.serves(model):
            return
        param = "models" if model in (asked.envelope.models or ()) else "model"
        if model not in parts.models:
            known = {*parts.models, *self.candidates.served_models}
            raise not_found(model, sorted(known), param=param)
        if len(asked.named.models) == 1:
            raise EmptyPlanError(f"no provider serves {model!r}; add it to one in the providers file", param=param)


def _extras(requested: str, plan: Plan, attempts: Sequence[AttemptRecord]) -> dict[str, Any]:
    return {"openrouter_metadata": openrouter_metadata(requested, plan.targets, attempts, plan.routed)}
