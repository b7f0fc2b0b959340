"""A proxy whose providers answer in this process, by what a test says."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from router_model.catalog import ModelCard
from router_model.serving.common.service_errors import SettingsError
from router_model.serving.common.settings import Settings
from router_model.serving.decision_log.log_records import AttemptRecord
from router_model.serving.formats.format import Facts
from router_model.serving.forwarding.reply import ForwardRequest, Reply
from router_model.serving.providers.config import Alias
from router_model.serving.providers.health import HealthRules, HealthTable
from router_model.serving.providers.keys import KeyRing
from router_model.serving.providers.provider import Kind, Provider, Target
from router_model.serving.providers.usage import Usage
from router_model.serving.proxy.proxy import Proxy
from router_model.serving.proxy.recent_calls import RecentCalls
from router_model.serving.proxy.stored_responses import StoredResponses

USAGE = Usage(10, 5)
CANARY = "sk-canary"


def provider(name: str, *models: str, **given: Any) -> Provider:
    """Return a provider that has the models under their own names."""
    kind = given.pop("kind", Kind.ECHO)
    return Provider(name, kind, given.pop("base_url", "http://127.0.0.1:1"), models={m: m for m in models}, **given)


@dataclass
class FakeProviders:
    """Providers that are never called; `cards` are by model."""

    all: Mapping[str, Provider]
    cards: Mapping[str, ModelCard] = field(default_factory=dict)
    closed: bool = False
    reloads: int = 0
    bad: str = ""
    aliases: dict[str, Alias] = field(default_factory=dict)
    rings: dict[str, KeyRing] = field(default_factory=dict)

    @property
    def models(self) -> Mapping[str, ModelCard | None]:
        return {model: self.cards.get(model) for one in self.all.values() for model in one.models}

    def names(self, model: str | None) -> bool:
        return model in self.models

    def alias(self, model: str) -> Alias | None:
        return self.aliases.get(model)

    def warn_of_missing_prices(self) -> None:
        pass

    def check_aliases(self) -> None:
        pass

    def keys(self, provider: Provider) -> KeyRing:
        keys = {f"{provider.name.upper()}_KEY": f"{CANARY}-{provider.name}"}
        return self.rings.setdefault(provider.name, KeyRing(keys))

    async def reload(self) -> None:
        self.reloads += 1
        if self.bad:
            raise SettingsError(self.bad)

    def targets(self, model: str) -> tuple[Target, ...]:
        serving = [one for one in self.all.values() if model in one.models]
        return tuple(Target(model, one, one.models[model], self.cards.get(model)) for one in serving)

    async def close(self) -> None:
        self.closed = True


@dataclass
class FakeForwarder:
    """Answers every order by its first target; `fails` is raised instead, `answers` picks another target.

    `pause` is awaited before each answer and each piece of a stream; `ended` tells how streams ended.
    """

    orders: list[ForwardRequest] = field(default_factory=list)
    fails: Exception | None = None
    answers: int = 0
    pieces: tuple[bytes, ...] = (b'data: {"choices": []}\n\n', b"data: [DONE]\n\n")
    pause: Callable[[], Any] | None = None
    ended: list[str] = field(default_factory=list)
    known_usage: bool = True
    health: HealthTable[tuple[str, str]] = field(default_factory=lambda: HealthTable(HealthRules()))

    async def forward(self, order: ForwardRequest) -> Reply:
        self.orders.append(order)
        try:
            await self._wait()
        except asyncio.CancelledError:
            self.ended.append("cancelled before an answer")
            order.observe(self._record(order, order.targets[0], error="client_gone", usage=None))
            raise
        if self.fails is not None:
            raise self.fails
        target = order.targets[self.answers]
        failed = [self._record(order, one, error="server", usage=None) for one in order.targets[: self.answers]]
        for record in failed:
            order.observe(record)
        cost = USAGE.list_usd(target.card)
        facts = Facts("resp_1", target.model, "stop", USAGE, cost)
        if order.call.stream:
            return Reply(target, failed, facts, stream=self._stream(order, target), n_attempts=self.answers + 1)
        record = self._record(order, target)
        order.observe(record)
        body = {"id": "resp_1", "model": target.model, "usage": {"cost": cost}}
        body |= order.extras([*failed, record])
        return Reply(target, [*failed, record], facts, body=body, n_attempts=self.answers + 1)

    async def _stream(self, order: ForwardRequest, target: Target) -> AsyncIterator[bytes]:
        how = "left"
        try:
            for piece in self.pieces:
                yield piece
                await self._wait()
            how = "whole"
        except asyncio.CancelledError:
            how = "cancelled"
            raise
        finally:
            self.ended.append(how)
            whole = how == "whole"
            order.observe(
                self._record(
                    order,
                    target,
                    error=None if whole else "client_gone",
                    usage=USAGE if whole and self.known_usage else None,
                    first_token_s=0.1,
                )
            )

    async def _wait(self) -> None:
        if self.pause is not None:
            await self.pause()

    def _record(
        self,
        order: ForwardRequest,
        target: Target,
        *,
        error: str | None = None,
        usage: Usage | None = USAGE,
        **given: Any,
    ) -> AttemptRecord:
        return AttemptRecord(
            f"att_{len(self.orders)}_{target.name}",
            order.decision_id,
            datetime(2026, 11, 23, tzinfo=UTC),
            model=target.model,
            provider=target.provider.name,
            response_id="resp_1" if error is None else None,
            status=200 if error is None else 500,
            error_type=error,
            input_tokens=None if usage is None else usage.input_tokens,
            output_tokens=None if usage is None else usage.output_tokens,
            cost_usd=None if usage is None else usage.list_usd(target.card),
            latency_s=0.5,
            key_id=order.key_id,
            **given,
        )


def fake_proxy(
    cards: Iterable[ModelCard] = (),
    *providers: Provider,
    engines: Any,
    access: Any,
    bodies: Any,
    log: Any,
    telemetry: Any,
) -> Proxy:
    """Return a proxy; without `providers` one serves the models of the cards, and ``text-embedding-3-small``."""
    known = {card.model: card for card in cards}
    serving = providers or (provider("local", *known, "text-embedding-3-small"),)
    fleet = FakeProviders({one.name: one for one in serving}, known)
    observers = (log.put, telemetry.attempt_observer(fleet.names))
    stored = StoredResponses(Settings(artifact="x"), log, fleet, bodies, RecentCalls(), telemetry.count_response)
    return Proxy(fleet, FakeForwarder(), engines, access, bodies, stored, observers)
