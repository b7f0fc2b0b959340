"""Replay a world as production traffic through the engine, into the decision log.

What is real: reading the prompt, sessions, the predictor, screening, the rule, exploration and its propensities, the
default plan, the records, the log's queue, spool and store. What is simulated: time, which passes from one request to
the next; callers; models, whose answers come from the world; feedback. What is left out: HTTP, keys and limits, the
thread of the predictor and its deadline (requests miss it at random), translations, retries of the same model, health
of providers, prompt caches in bills. A decision's `decision_s` is the time that it really took.
"""

import asyncio
import heapq
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import takewhile
from random import Random
from typing import Any, Final, NamedTuple

import numpy as np

from router_model.decision import Decision
from router_model.errors import ArtifactError, RequestError
from router_model.features.featuriser import PromptFeatures
from router_model.plan import Plan
from router_model.router import Router
from router_model.saved.place import Challenger, Mode, folder_name
from router_model.serving.common.ids import IdMaker
from router_model.serving.common.masking import masked_url
from router_model.serving.common.router_names import DEFAULT_ROUTER
from router_model.serving.common.service_errors import ServiceError
from router_model.serving.common.settings import Settings
from router_model.serving.decision_log.gate import StoreGate
from router_model.serving.decision_log.log import DecisionLog
from router_model.serving.decision_log.log_records import OWN, AttemptRecord, FeedbackRecord, LogRecord
from router_model.serving.decision_log.opening import NONE, open_log, open_spool, open_store
from router_model.serving.decision_log.replay import Replayer
from router_model.serving.decision_log.rows import Kind
from router_model.serving.decision_log.store import StoreError
from router_model.serving.engine.challenger import Contender
from router_model.serving.engine.conversations import open_conversations
from router_model.serving.engine.deciding import decide_one
from router_model.serving.engine.decision_answers import SESSION
from router_model.serving.engine.engine import Engine
from router_model.serving.engine.engines import Engines
from router_model.serving.engine.lane import DeadlineMissedError
from router_model.serving.engine.query import Query, Routed
from router_model.serving.engine.read_query import ReadQuery
from router_model.serving.engine.recording import PromptVolume
from router_model.serving.engine.reload import Served
from router_model.serving.simulation.traffic import SAME_REPORT, Arrival, Traffic, draw_arrivals
from router_model.serving.simulation.truth import Simulated
from router_model.serving.simulation.world import Change, Phase, World, phases_of

_GONE: Final[dict[str, Any]] = {"status": 404, "error_type": "model_gone", "latency_s": 0.1}
_LONG_S: Final = 600.0  # real seconds for the log to take what it was given
_AGAIN_AFTER_S: Final = 60.0
_JUDGED_AT_ONCE: Final = 20
_FIXED: Final = {
    "reload_every_s": 1e9,
    "follow_every_s": 1e9,
    "log_retention_days": None,  # simulated times may be years ago
    "log_prompt_chars_a_minute": 10**15,  # of real minutes, in which weeks are simulated
    "session_store": "memory",  # not one that a service shares
}


class Trying(NamedTuple):
    """A challenger of a simulated service.

    Attributes
    ----------
    router : Router
    mode : Mode
        ``explore`` or ``canary``: a shadow would change nothing.
    share : float
    """

    router: Router
    mode: Mode
    share: float


def simulate(
    settings: Settings,
    world: World,
    traffic: Traffic,
    *,
    changes: Sequence[Change] = (),
    seed: int = 0,
    append: bool = False,
    challenger: Trying | None = None,
    on_request: Callable[[], object] = lambda: None,
) -> Simulated:
    """Replay a world as traffic; return the truth about it.

    Parameters
    ----------
    settings : Settings
        As of a service: the artifact, exploration, the log and what it keeps of prompts.
    world : World
        Has every model of the router.
    traffic : Traffic
    changes : what happens to the world meanwhile
    seed : int
        Everything is drawn from it: two runs differ in `decision_s` alone.
    append : bool
        Add to a log that has records, with draws that depend on their number.
    challenger : Trying, optional
        A router that explores where it disagrees, or decides for a share of the sessions.
    on_request : called after every request

    Raises
    ------
    ArtifactError
        If the router cannot be served.
    RequestError
        If the log has records already, or a change cannot happen.
    StoreError
        If the log did not take every record.
    """
    return asyncio.run(
        _simulate(settings, world, traffic, changes, seed, append=append, challenger=challenger, on_request=on_request)
    )


async def _simulate(
    settings: Settings,
    world: World,
    traffic: Traffic,
    changes: Sequence[Change],
    seed: int,
    *,
    append: bool,
    challenger: Trying | None,
    on_request: Callable[[], object],
) -> Simulated:
    n_before = 0 if settings.log == NONE else await _count_decisions(settings)
    if n_before and not append:
        raise RequestError(
            f"the log {masked_url(settings.log)} holds {n_before:,} decisions already, maybe of a simulation that was "
            "interrupted; name a new one, delete it, or add to it with --append"
        )
    # A generator for each thing that is drawn, so that more draws of one do not change the others.
    of_world, of_traffic, of_choices = (np.random.default_rng([seed, n_before, i]) for i in range(3))
    phases = phases_of(world, changes, traffic.n_requests, of_world)
    arrivals = draw_arrivals(traffic, phases, of_traffic)
    settings = settings.model_copy(update=_FIXED)
    log = open_log(settings)
    replay = _Replay(settings, log, phases, of_choices)
    await log.start()
    try:
        await replay.start(challenger)
        for arrival in arrivals:
            await replay.step(arrival)
            on_request()
        await replay.report_until(np.inf)
    finally:
        await replay.engines.close()
        await log.close(_LONG_S)
    stats = log.stats
    if settings.log != NONE and (stats.dropped or stats.spool_depth):
        raise StoreError(
            f"{stats.dropped} records are lost and {stats.spool_depth} wait in {settings.log_spool}: the log did not "
            "take them; see the warnings"
        )
    return replay.truth()


async def _count_decisions(settings: Settings) -> int:
    """Count what is in the log and what a process that was killed left in its spool, which is taken in first."""
    store, spool = open_store(settings.log), open_spool(settings.log, settings.log_spool)
    try:
        await store.open()
        if spool.adopt():
            await Replayer(StoreGate(store, spool.rejects), spool).replay()
        return (await store.count())[Kind.DECISION]
    finally:
        spool.close()
        await store.close()


class _InstantEngine(Engine):
    """An engine that predicts at once, without a thread, and misses the deadline when it is told to."""

    is_late = False

    async def _predicted(self, served: Served, asked: ReadQuery, arrived: float) -> Decision:
        del arrived
        if self.is_late or served.router is None:
            raise DeadlineMissedError
        return decide_one(served.router, asked)

    async def _by_challenger(
        self, contender: Contender, asked: ReadQuery, features: PromptFeatures | None, arrived: float, *, is_slow: bool
    ) -> Decision | None:
        del arrived, is_slow
        if self.is_late:
            return None
        try:
            return decide_one(contender.router, asked, features)
        except Exception as exc:  # noqa: BLE001 - the champion's decision is the answer, as in a service
            self.challenging.fail(contender, exc)
            return None


class _Done(NamedTuple):
    """What became of one request; columns of models as in `Simulated`."""

    arrival: Arrival
    decision_id: str
    degraded: bool
    chosen: int
    ruled: int
    answered: int
    ruled_answered: int
    propensity: dict[int, float]


class _Replay:
    """Sends requests through an engine, calls models in the world, and reports on their answers."""

    def __init__(self, settings: Settings, log: DecisionLog, phases: Sequence[Phase], rng: np.random.Generator) -> None:
        self._settings = settings
        self._log = log
        self._phases = phases
        self._quality = [phase.world.called(phase.world.quality) for phase in phases]
        self._cost_usd = [phase.world.called(phase.world.cost_usd) for phase in phases]
        self._columns = {model: column for column, model in enumerate(phases[0].world.models)}
        self._max_attempts = settings.proxy_max_attempts
        self._flush_every, self._n_put = max(1, settings.log_queue // 4), 0
        self._follows, self._n_reported = settings.follow_levels > 0, 0
        self._now = 0.0
        self._reports: list[tuple[float, int, FeedbackRecord]] = []  # a heap
        self._done: list[_Done] = []
        self._counts: Counter[str] = Counter()
        self._new_id = {
            kind: IdMaker(f"{kind}_", clock_ms=lambda: int(self._now * 1000), random_bytes=rng.bytes)
            for kind in ("dec", "att", "resp")
        }
        # The seal replaces the engine's id, which the system draws, by one that the seed determines.
        conversations = open_conversations(settings, log, clock=lambda: self._now)
        self.engine = _InstantEngine(
            settings,
            log=log,
            conversations=conversations,
            volume=PromptVolume(settings.log_prompt_chars_a_minute),
            rng=Random(int(rng.integers(2**63))),  # noqa: S311 - draws what is explored
            clock=lambda: self._now,
            seal=lambda *_: self._new_id["dec"](),
        )
        self.engines = Engines({DEFAULT_ROUTER: self.engine}, sessions=conversations.sessions)

    async def start(self, challenger: Trying | None) -> None:
        """Load the router, and see that the world has its models, and those of the challenger."""
        await self.engines.start()
        router = self.engine.router
        if router is None:
            raise ArtifactError(f"the router cannot be served: {self.engine.status['refused']}")
        models = router.models if challenger is None else dict.fromkeys((*router.models, *challenger.router.models))
        self._candidates = np.array([self._phases[0].world.column(model) for model in models])
        # Once, so that a challenger that the artifact's own folder names is not found later, and replaces this one.
        await self.engine.challenging.follow()
        self.engine.challenging.take(None if challenger is None else self._contender(challenger, router))

    def _contender(self, challenger: Trying, champion: Router) -> Contender:
        own = challenger.router
        if own.encoder.content_hash == champion.encoder.content_hash:
            own = replace(own, encoder=champion.encoder)  # then the two share a prompt's features, as in a service
        since = datetime.fromtimestamp(self._now, UTC)
        pointer = Challenger(folder_name(own.artifact.content_hash), challenger.mode, challenger.share, since)
        return Contender.of(pointer, own, self._settings)

    async def step(self, arrival: Arrival) -> None:
        """Report what is due, then let one request be decided, called and judged."""
        await self.report_until(arrival.at)
        self._now, self.engine.is_late = arrival.at, arrival.is_late
        prompt = self._phases[0].world.prompts[arrival.row]
        messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
        query = Query({"messages": messages}, "chat", session_id=arrival.session_id, key_id=arrival.key_id)
        try:
            routed = await self.engine.decide(query)
        except ServiceError:  # no model takes the prompt
            self._counts["refused"] += 1
            return
        await self._make_room()
        self._counts.update(
            decisions=1, explored=routed.explored, kept=routed.reason == SESSION, degraded=routed.degraded
        )
        await self._call(arrival, routed)

    async def report_until(self, moment: float) -> None:
        """Put the feedback that is due by then into the log."""
        while self._reports and self._reports[0][0] <= moment:
            await self._put(heapq.heappop(self._reports)[2])
            await self._follow()

    async def _call(self, arrival: Arrival, routed: Routed) -> None:
        """Call the plan's models in order until one answers, as the proxy does."""
        failed, answered = self._fate(arrival.phase, routed.plan)
        for model in failed:
            await self._put(self._attempt(arrival, routed, model, **_GONE))
            self._now += _GONE["latency_s"]
        if answered is not None:
            attempt = self._answer(arrival, routed, answered)
            await self._put(attempt)
            self._judge(arrival, attempt)
        if answered is not None and failed:
            self._counts["fallbacks"] += 1
            self.engine.conversations.answered(routed, answered, key_id=arrival.key_id, session_id=arrival.session_id)
        # What was drawn comes first in the plan, and the rule's choice behind it.
        by_rule = routed.plan.with_first(1) if routed.explored else routed.plan
        ruled_answered = self._fate(arrival.phase, by_rule)[1]
        self._done.append(
            _Done(
                arrival,
                routed.decision_id,
                routed.degraded,
                chosen=self._columns[routed.model],
                ruled=self._columns[by_rule.models[0]],
                answered=-1 if answered is None else self._columns[answered],
                ruled_answered=-1 if ruled_answered is None else self._columns[ruled_answered],
                propensity={
                    self._columns[model]: propensity
                    for model, propensity in zip(routed.plan.models, routed.propensities, strict=True)
                },
            )
        )

    def _fate(self, phase: int, plan: Plan) -> tuple[list[str], str | None]:
        """Return the models of a plan whose calls fail before one answers, and the one that answers."""
        models = plan.models[: self._max_attempts]
        retired = self._phases[phase].world.retired
        failed = list(takewhile(lambda model: retired[self._columns[model]], models))
        return failed, models[len(failed)] if len(failed) < len(models) else None

    def _answer(self, arrival: Arrival, routed: Routed, model: str) -> AttemptRecord:
        world, called = self._phases[arrival.phase].world, self._columns[model]
        at = arrival.row, world.answers[called]
        tokens = [None if np.isnan(n) else round(n) for n in (world.input_tokens[at], world.output_tokens[at])]
        return self._attempt(
            arrival,
            routed,
            model,
            status=200,
            response_id=self._new_id["resp"](),
            response_model=world.models[at[1]],
            finish_reason="stop",
            input_tokens=tokens[0],
            output_tokens=tokens[1],
            cost_usd=float(self._cost_usd[arrival.phase][arrival.row, called]),
            latency_s=None if np.isnan(world.latency_s[at]) else float(world.latency_s[at]),
        )

    def _attempt(self, arrival: Arrival, routed: Routed, model: str, **facts: Any) -> AttemptRecord:
        self._counts["attempts"] += 1
        position = routed.plan.models.index(model)
        return AttemptRecord(
            attempt_id=self._new_id["att"](),
            decision_id=routed.decision_id,
            created_at=datetime.fromtimestamp(self._now, UTC),
            model=model,
            provider=routed.providers[position],
            key_id=arrival.key_id,
            **facts,
        )

    def _judge(self, arrival: Arrival, attempt: AttemptRecord) -> None:
        """Note the feedback that will come on an answer, if any."""
        if arrival.judged_after_s is None or attempt.model is None:
            return
        quality = float(self._quality[arrival.phase][arrival.row, self._columns[attempt.model]])
        at = self._now + (attempt.latency_s or 0.0) + arrival.judged_after_s
        report = FeedbackRecord(
            feedback_id=f"fb_{attempt.attempt_id.removeprefix('att_')}",
            created_at=datetime.fromtimestamp(at, UTC),
            decision_id=attempt.decision_id,
            response_id=attempt.response_id,
            score=1.0 - quality if arrival.is_false else quality,
            source="user",
            metric="quality",
            comment=None,
            key_id=arrival.key_id,
            authority=OWN,
        )
        self._counts.update(judged=1, judged_falsely=arrival.is_false, judged_twice=arrival.repeats > 0)
        heapq.heappush(self._reports, (at, len(self._done), report))
        if arrival.repeats:
            again = report.feedback_id if arrival.repeats == SAME_REPORT else f"{report.feedback_id}_2"
            later = datetime.fromtimestamp(at + _AGAIN_AFTER_S, UTC)
            second = replace(report, feedback_id=again, created_at=later)
            heapq.heappush(self._reports, (at + _AGAIN_AFTER_S, len(self._done), second))

    async def _follow(self) -> None:
        """Let the engine read feedback now and then, as a service does by the clock."""
        self._n_reported += 1
        if self._follows and self._n_reported % _JUDGED_AT_ONCE == 0:
            await self._log.flush(_LONG_S)
            await self.engine.follow_levels()

    async def _put(self, record: LogRecord) -> None:
        self._log.put(record)
        await self._make_room()

    async def _make_room(self) -> None:
        """Wait for the log's writer now and then: the log never makes anybody wait, and drops what is too much."""
        self._n_put += 1
        if self._n_put % self._flush_every == 0:
            await self._log.flush(_LONG_S)

    def truth(self) -> Simulated:
        """Return what is true of the requests so far."""
        arrivals = [done.arrival for done in self._done]
        propensity = np.zeros((len(self._done), len(self._columns)))
        for row, done in enumerate(self._done):
            propensity[row, list(done.propensity)] = list(done.propensity.values())
        phase, rows = (np.array([getattr(one, name) for one in arrivals], np.intp) for name in ("phase", "row"))
        chosen, ruled, answered, ruled_answered = (
            np.array([getattr(done, name) for done in self._done], np.intp)
            for name in ("chosen", "ruled", "answered", "ruled_answered")
        )
        return Simulated(
            models=self._phases[0].world.models,
            candidates=self._candidates,
            decision_ids=[done.decision_id for done in self._done],
            rows=rows,
            phase=phase,
            changes=tuple(each.changes for each in self._phases),
            chosen=chosen,
            ruled=ruled,
            answered=answered,
            ruled_answered=ruled_answered,
            propensity=propensity,
            degraded=np.array([done.degraded for done in self._done], np.bool_),
            quality=np.array(self._quality)[phase, rows],
            cost_usd=np.array(self._cost_usd)[phase, rows],
            counts=dict(self._counts),
        )
