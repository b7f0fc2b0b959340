"""Small stand-ins for the parts of the decision service, so that its HTTP side is tested on its own."""

import asyncio
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from fake_proxy import fake_proxy
from memory_log import MemoryLog
from starlette.datastructures import Headers
from starlette.testclient import TestClient

from router_model import Catalog, ModelCard, Router
from router_model.errors import RouterModelError
from router_model.features import FeatureError
from router_model.plan import Plan, PlanStep
from router_model.screening.screening import NoCandidateError
from router_model.serving.access.admission import Admission
from router_model.serving.access.key_budget import NANOS, KeyBudget
from router_model.serving.access.ledger import Balance
from router_model.serving.api.parts import Parts
from router_model.serving.app import create_app
from router_model.serving.common.callers import INSECURE, Caller, Role
from router_model.serving.common.router_names import DEFAULT_ROUTER
from router_model.serving.common.service_errors import ForbiddenError, ServiceError, UnauthenticatedError
from router_model.serving.common.settings import Settings
from router_model.serving.decision_log.log_records import (
    DecisionRecord,
    LoggedCandidate,
)
from router_model.serving.engine.engines import Engines
from router_model.serving.engine.faults import callers_error
from router_model.serving.engine.query import Query, Routed
from router_model.serving.http_edge.bodies import BodyReader
from router_model.serving.http_edge.body_limits import BodyLimits
from router_model.serving.http_edge.error_answers import as_service_error
from router_model.serving.monitoring.telemetry import Telemetry

Observer = Callable[[Query, Routed], None]
NAN = float("nan")


@dataclass
class FakeReload:
    artifact: str
    changed: bool


@dataclass
class FakeEngine:
    """Decides with a real router, without sessions, exploration and deadlines; `fails` is raised instead."""

    router: Router | None
    log: MemoryLog
    default_plan: tuple[str, ...] = ()
    fails: Exception | None = None
    policy_version: str = "p1"
    ready: bool = True
    observers: tuple[Observer, ...] = ()
    asked: list[Query] = field(default_factory=list)
    moved: list[tuple[str | None, str, str]] = field(default_factory=list)
    marks: list[tuple[str | None, str | None]] = field(default_factory=list)

    @property
    def cards(self) -> Mapping[str, ModelCard] | None:
        return None if self.router is None else self.router.catalog.cards

    @property
    def status(self) -> dict[str, Any]:
        return {"default_plan": self.default_plan, "sessions": {"in_memory": 4}, "swaps": 1, "refusals": 2}

    async def load(self, *, may_wait: bool = False) -> None:
        assert isinstance(may_wait, bool)

    def find_challenger(self, turn: asyncio.Lock) -> asyncio.Task[None]:
        assert not turn.locked()
        return asyncio.create_task(asyncio.sleep(0))

    def watch(self) -> None:
        pass

    @property
    def conversations(self) -> "FakeEngine":
        """Itself: it keeps what it was told of conversations."""
        return self

    async def close(self) -> None:
        self.ready = False

    async def reload(self) -> FakeReload:
        if self.fails:
            raise self.fails
        return FakeReload("sha256:new", changed=True)

    def answered(self, routed: Routed, model: str, *, key_id: str | None, session_id: str | None) -> None:
        assert key_id
        self.moved.append((session_id, routed.model, model))

    def heard(self, routed: Routed, mark: str | None, *, key_id: str | None, user_id: str | None) -> None:
        assert routed.decision_id
        assert key_id
        self.marks.append((mark, user_id))

    async def decide(self, query: Query) -> Routed:
        self.asked.append(query)
        if self.fails:
            raise self.fails
        try:
            routed = self._degraded(query) if self.router is None else self._routed(self.router, query)
        except NoCandidateError as exc:
            raise callers_error(exc) from exc
        self.log.put(record_of(routed, query))
        for observe in self.observers:
            observe(query, routed)
        return routed

    async def decide_batch(self, queries: Sequence[Query]) -> list[Routed | ServiceError]:
        answers: list[Routed | ServiceError] = []
        for query in queries:
            try:
                answers.append(await self.decide(query))
            except (ServiceError, FeatureError, RouterModelError) as exc:
                answers.append(as_service_error(exc))
        return answers

    def _routed(self, router: Router, query: Query) -> Routed:
        if query.cards:
            router = replace(router, catalog=Catalog({**router.catalog.cards, **query.cards}))
        (decision,) = router.decide([query.body], query.goal, constraints=query.constraints, explain=query.explain)
        return Routed(
            decision_id=f"dec_{len(self.asked):032x}",
            created_at=datetime(2026, 11, 23, tzinfo=UTC),
            reason=decision.reason,
            plan=decision.plan,
            propensities=[1.0, *[0.0] * (len(decision.plan) - 1)],
            cards=[router.catalog[step.model] for step in decision.plan],
            excluded=decision.excluded,
            predicted=True,
            policy_version=self.policy_version,
            artifact=decision.artifact,
            quality_bar=decision.quality_bar,
            target_success=getattr(query.goal, "target_success", None),
            threshold=decision.threshold,
            success_value_usd=decision.success_value_usd,
            quality_value_usd=decision.quality_value_usd,
            certificate=decision.certificate,
            explored=False,
            degraded=False,
            degraded_by=None,
            n_input_tokens=10,
            session_id=query.session_id,
            decision_s=0.0012345,
            explanation=decision.explanation,
            best_single=max(decision.plan, key=lambda step: step.expected_cost_usd).model,
        )

    def _degraded(self, query: Query) -> Routed:
        return Routed(
            decision_id=f"dec_{len(self.asked):032x}",
            created_at=datetime(2026, 11, 23, tzinfo=UTC),
            reason="fallback_default",
            plan=Plan.of([PlanStep(model, NAN, NAN, NAN) for model in self.default_plan]),
            propensities=[1.0, *[0.0] * (len(self.default_plan) - 1)],
            cards=[None] * len(self.default_plan),
            excluded=(),
            predicted=False,
            policy_version=self.policy_version,
            artifact="",
            quality_bar=NAN,
            target_success=None,
            threshold=None,
            success_value_usd=None,
            quality_value_usd=None,
            certificate=None,
            explored=False,
            degraded=True,
            degraded_by="no_router",
            n_input_tokens=10,
            session_id=query.session_id,
            decision_s=0.0001,
        )


def record_of(routed: Routed, query: Query) -> DecisionRecord:
    """Return what the log keeps of a decision."""
    unknown = [None] * 7
    return DecisionRecord(
        decision_id=routed.decision_id,
        created_at=routed.created_at,
        model=routed.model,
        reason=routed.reason,
        candidates=tuple(LoggedCandidate(step.model, None, *unknown, propensity=0.0) for step in routed.plan),
        excluded=tuple((one.model, one.reason) for one in routed.excluded),
        artifact=routed.artifact,
        policy_version=routed.policy_version,
        quality_bar=routed.quality_bar,
        target_success=routed.target_success,
        threshold=routed.threshold,
        success_value_usd=routed.success_value_usd,
        quality_value_usd=routed.quality_value_usd,
        certified=False,
        explored=routed.explored,
        degraded=routed.degraded,
        shadow=False,
        session_id=routed.session_id,
        user_id=query.user_id,
        key_id=query.key_id,
        surface=query.surface,
        prompt_sha256=None,
        messages=None,
        n_input_tokens=routed.n_input_tokens,
        decision_s=routed.decision_s,
    )


class FakeAccess:
    """Lets everybody in, or those whose key is known."""

    def __init__(self, keys: dict[str, Caller] | None = None) -> None:
        self.keys = keys
        self.worst: list[Callable[[], Decimal]] = []

    def authenticate(self, scope: MutableMapping[str, Any], *roles: Role) -> Caller:
        if self.keys is None:
            return INSECURE
        caller = self.keys.get(Headers(scope=scope).get("authorization", "").removeprefix("Bearer "))
        if caller is None:
            raise UnauthenticatedError("no key", headers={"www-authenticate": "Bearer"})
        if caller.roles.isdisjoint(roles):
            raise ForbiddenError(f"the key lacks the role; this needs: {' or '.join(roles)}")
        return caller

    def derived_secret(self, _purpose: bytes) -> None:
        return None

    def admit(
        self, scope: MutableMapping[str, Any], caller: Caller, worst_usd: Callable[[], Decimal], *, within_s: float
    ) -> Admission:
        assert scope["type"] == "http"
        assert caller.key_id
        self.worst.append(worst_usd)
        assert within_s > 0
        return Admission()

    def close(self) -> None:
        pass

    def standing(self, caller: Caller) -> tuple[str, KeyBudget, Balance]:
        """Ten dollars a month; two and a half are spent."""
        return caller.key_id, KeyBudget(Decimal(10)), Balance(10 * NANOS, 5 * NANOS // 2, 0)

    def expires(self, caller: Caller) -> datetime:
        assert caller.key_id
        return datetime(2027, 1, 31, tzinfo=UTC)

    def count_more(self, caller: Caller, n: int) -> None:
        assert n >= 0
        assert caller.key_id


def fake_parts(router: Router | None, *, keys: dict[str, Caller] | None = None, **changes: Any) -> Parts:
    """Return parts around a router; `changes` are of the engine."""
    log, telemetry = MemoryLog(), Telemetry()
    settings = Settings(artifact="router", insecure=True, max_batch=3)
    engines = Engines({DEFAULT_ROUTER: FakeEngine(router, log, observers=(telemetry.observe,), **changes)})
    access, bodies = FakeAccess(keys), BodyReader(BodyLimits.of(settings))
    cards = () if router is None else router.catalog.cards.values()
    proxy = fake_proxy(cards, engines=engines, access=access, bodies=bodies, log=log, telemetry=telemetry)
    return Parts(settings, engines, log, access, bodies, telemetry, proxy)


def client_of(parts: Parts) -> TestClient:
    """Return a client of the application around the parts; the guard answers to loopback's names."""
    return TestClient(create_app(parts=parts), base_url="http://127.0.0.1:8484")
