"""The engine: it turns a request that was read into a decision that can be written.

A decision never fails because of a fault of the service. If the predictor fails or takes too long, the answer is the
default plan and says so (`Routed.degraded`). If the request itself is wrong, the caller gets an error.
"""

import asyncio
import logging
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from random import Random
from typing import Any

from router_model.catalog import ModelCard
from router_model.decision import Decision
from router_model.features.featuriser import PromptFeatures
from router_model.router import Router
from router_model.saved.place import Mode
from router_model.serving.common.error_location import error_location
from router_model.serving.common.log_throttle import LogThrottle
from router_model.serving.common.router_names import DEFAULT_ROUTER
from router_model.serving.common.service_errors import NotReadyError, ServiceError
from router_model.serving.common.settings import Settings
from router_model.serving.decision_log.log import DecisionLog
from router_model.serving.engine.canary import CanaryWatch
from router_model.serving.engine.challenger import CHALLENGER, CHAMPION, Challenging, Contender, Outcome
from router_model.serving.engine.conversations import Conversations
from router_model.serving.engine.deciding import (
    MOST_OF_A_BATCH,
    MOST_TOGETHER,
    decide_group,
    decide_one,
    decide_together,
)
from router_model.serving.engine.decision_answers import DecisionAnswers, Seal, takes_rival
from router_model.serving.engine.exploration import STARTER_SHARE, ByRouter, Exploration, Rival
from router_model.serving.engine.faults import raise_callers_error
from router_model.serving.engine.following import LevelFollower
from router_model.serving.engine.lane import SLOW_FACTOR, DeadlineMissedError, Lane
from router_model.serving.engine.loading import Loader
from router_model.serving.engine.query import Query, Routed, Trial
from router_model.serving.engine.read_query import ReadQuery, read_query
from router_model.serving.engine.recording import (
    PendingDecision,
    PromptVolume,
    UnsealedFeatures,
    log_keys,
    prompt_storage,
)
from router_model.serving.engine.reload import Reloaded, Reloader, Served
from router_model.serving.engine.shadow import Shadow, Waiting

_log = logging.getLogger(__name__)

Observer = Callable[[Query, Routed], None]
"""Receives every answer, e.g. to count it; its exceptions are logged and do not reach the caller."""


class Engine:
    """Decides by one router. Used from one event loop; `router_model.serving.engine.engines` starts it.

    Parameters
    ----------
    settings : Settings
    log : takes the records; whoever made it starts and closes it
    conversations, volume : the service's, which its engines share
    observers : are shown every answer
    rng : draws what is explored; default: seeded by the system
    clock : returns seconds since 1970
    seal : marks the id of a decision as that of the key that asked
    name : what the log calls its router
    neighbours : returns the routers of the service's other engines

    Raises
    ------
    SettingsError
        If features of prompts are to be logged without a key.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        log: DecisionLog,
        conversations: Conversations,
        volume: PromptVolume,
        observers: Sequence[Observer] = (),
        rng: Random | None = None,
        clock: Callable[[], float] = time.time,
        seal: Seal = lambda decision_id, _: decision_id,
        name: str = DEFAULT_ROUTER,
        neighbours: Callable[[], Iterable[Router]] = tuple,
    ) -> None:
        rng = rng or Random()  # noqa: S311 - draws which decisions explore, which need not be unpredictable
        self._settings = settings
        self._decision_log = log
        self.conversations = conversations
        self._observers = tuple(observers)
        self._storage = prompt_storage(settings)
        self._keys = log_keys(settings)
        self._volume = volume
        self._answers = DecisionAnswers(_exploration(settings), rng=rng, clock=clock, seal=seal)
        loader = Loader(settings, neighbours)
        self._reloader = Reloader(settings, loader, on_swap=self._replace_stuck_lanes, name=name)
        self.challenging = Challenging(settings, loader, champion=lambda: self._reloader.served)
        self._shadow = Shadow(self.challenging, self._record)
        self._cards: tuple[Router, Contender, Mapping[str, ModelCard]] | None = None
        self.canary = CanaryWatch(settings, name)
        self._rng = rng
        self._fast, self._slow = self._lanes()
        self._watches: list[asyncio.Task[None]] = []
        self._follower = LevelFollower.of(settings, clock=clock, router=name)
        self._degraded: Counter[str] = Counter()
        self._throttle = LogThrottle()

    async def load(self, *, may_wait: bool = False) -> None:
        """Load the artifact, the first part of a start.

        Parameters
        ----------
        may_wait : bool
            Without a default plan, too, start if the artifact cannot be served, and keep looking for one.

        Raises
        ------
        ArtifactError
            If it cannot be served, the settings name no default plan, and it may not wait; else the engine starts
            degraded, and keeps looking for an artifact.
        """
        await self._reloader.start(may_wait=may_wait)

    def find_challenger(self, turn: asyncio.Lock) -> asyncio.Task[None]:
        """Begin to load the challenger, the second part of a start; of engines with one `turn` one loads at a time."""

        async def find() -> None:
            async with turn:
                await self.challenging.follow()

        found = asyncio.create_task(find(), name="artifact-watch")
        self._watches.append(found)
        return found

    def watch(self) -> None:
        """Begin to watch artifact and challenger, the last part of a start."""
        watched = [self._reloader.watch(), self.challenging.watch(), self.canary.watch()]
        if self._follower is not None:
            watched.append(self._follow_for_ever())
        self._watches += [asyncio.create_task(each, name="artifact-watch") for each in watched]

    async def close(self) -> None:
        """Stop. A thread that hangs is left behind; it does not keep the process from ending."""
        for watch in self._watches:
            watch.cancel()
        await asyncio.gather(*self._watches, return_exceptions=True)
        await self._shadow.close()
        self._reloader.close()
        self.challenging.close()
        self._fast.close()
        self._slow.close()

    @property
    def router(self) -> Router | None:
        """The router that decides now; None if none could be loaded."""
        served = self._reloader.served
        return None if served is None else served.router

    @property
    def cards(self) -> Mapping[str, ModelCard] | None:
        """The cards of the models that may be chosen, those that only a challenger has among them; None: no router."""
        router, contender = self.router, self.challenging.contender
        if router is None or contender is None:
            return None if router is None else router.catalog.cards
        if self._cards is None or self._cards[0] is not router or self._cards[1] is not contender:
            self._cards = router, contender, {**contender.router.catalog.cards, **router.catalog.cards}
        return self._cards[2]

    @property
    def loaded(self) -> list[Router]:
        """The routers that are held now: what decides, and a challenger."""
        contender = self.challenging.contender
        held = self.router, None if contender is None else contender.router
        return [router for router in held if router is not None]

    @property
    def policy_version(self) -> str:
        """The name of what decides now; empty before the start."""
        served = self._reloader.served
        return "" if served is None else served.policy_version

    @property
    def default_plan(self) -> tuple[str, ...]:
        """The models of answers without a prediction, best first."""
        served = self._reloader.served
        return () if served is None else served.default_plan.models

    @property
    def ready(self) -> bool:
        """Whether requests are answered by a router, or were never meant to be."""
        return self.router is not None or (self._settings.artifact is None and self._reloader.served is not None)

    @property
    def status(self) -> dict[str, Any]:
        """The engine's state for operators, as plain JSON types."""
        return {
            "ready": self.ready,
            **self._reloader.status,
            "default_plan": list(self.default_plan),
            "degraded": dict(self._degraded),
            "breaker_open": self._fast.is_open,
            "sessions": self.conversations.sessions.counts,
            "prompts_left_out": self._volume.n_left_out,
            "challenger": self.challenging.status,
            "canary": self.canary.status,
            "levels": None if self._follower is None else self._follower.status,
        }

    async def decide(self, query: Query) -> Routed:
        """Decide.

        Raises
        ------
        InvalidRequestError
            If the body or a knob is wrong.
        EmptyPlanError
            If constraints leave no model.
        """
        arrived = time.perf_counter()
        served, asked = self._now_served(), await self.conversations.find(await read_query(query))
        contender = self.challenging.contender
        if contender is not None:
            routed = await self._by_canary(contender, asked, arrived, is_slow=query.explain)
            if routed is not None:
                return routed
        decided: Decision | Exception
        try:
            decided = await self._predicted(served, asked, arrived)
        except Exception as exc:  # noqa: BLE001 - `_answer` tells whose fault it is
            decided = exc
        return await self._by_champion(contender, served, asked, decided, arrived, is_slow=query.explain)

    async def decide_batch(self, queries: Sequence[Query]) -> list[Routed | ServiceError]:
        """Decide each request, in order; an error of one does not affect the others."""
        arrived = time.perf_counter()
        # One for the whole batch, so that a reload in between does not answer a part of it by another router.
        served, contender = self._now_served(), self.challenging.contender
        results: list[Routed | ServiceError | None] = [None] * len(queries)
        groups: dict[Hashable, list[int]] = defaultdict(list)
        read: dict[int, ReadQuery] = {}
        for i, query in enumerate(queries):
            try:
                read[i] = await read_query(query)
            except ServiceError as exc:
                results[i] = exc
        found = await asyncio.gather(*map(self.conversations.find, read.values()))
        read = dict(zip(read, found, strict=True))
        if contender is not None:
            asked = [self._by_canary(contender, one, arrived, is_slow=True) for one in read.values()]
            for i, routed in zip(read, await asyncio.gather(*asked), strict=True):
                results[i] = routed
        for i, one in read.items():
            if results[i] is None:
                groups[one.group].append(i)  # one call of the predictor can decide a group
        for rows in groups.values():
            decided = await self._predicted_group(served, [read[i] for i in rows], arrived)
            for i, each in zip(rows, decided, strict=True):
                try:
                    results[i] = await self._by_champion(contender, served, read[i], each, arrived, is_slow=True)
                except ServiceError as exc:
                    results[i] = exc
        return [result for result in results if result is not None]

    async def preview(self, router: Router, query: Query) -> Decision:
        """Return what a router would decide. Nothing is logged, drawn or remembered, and no conversation is looked up.

        Raises
        ------
        InvalidRequestError, EmptyPlanError
            As `decide`.
        NotReadyError
            If there is no decision in time. It takes its turn among batches and explanations.
        """
        asked = await read_query(query)
        try:
            return await self._slow.run(decide_one, router, asked, caller=query.key_id)
        except DeadlineMissedError as exc:
            raise NotReadyError("the preview was not ready in time; try again, or shorten the prompt") from exc
        except Exception as exc:
            raise_callers_error(exc)
            raise

    async def reload(self) -> Reloaded:
        """Load what the artifact's path names now, and serve it if it is another one; then look for its challenger.

        Raises
        ------
        ReloadRefusedError
            If it cannot be served; what was served before still is. A challenger that cannot be used is said in
            `status` alone.
        """
        reloaded = await self._reloader.reload()
        await self.challenging.follow(again=True)
        return reloaded

    async def follow_levels(self) -> None:
        """Shift the levels of models to what feedback in the log shows now, if the settings say so."""
        served = self._reloader.served
        if self._follower is not None and served is not None and served.router is not None:
            announced = served.router.announced
            errors = {} if announced is None else {model: level.error for model, level in announced.levels.items()}
            self._reloader.shift_levels(served.artifact, await self._follower.read(served.artifact, errors))

    async def _follow_for_ever(self) -> None:
        while True:
            await self.follow_levels()
            await asyncio.sleep(self._settings.follow_every_s)

    def _lanes(self) -> tuple[Lane, Lane]:
        deadline_s = self._settings.decision_deadline_s
        fast = Lane("router", deadline_s=deadline_s, together=decide_together, most_together=MOST_TOGETHER)
        return fast, Lane("router-slow", deadline_s=SLOW_FACTOR * deadline_s)

    def _now_served(self) -> Served:
        served = self._reloader.served
        if served is None:
            raise NotReadyError("the engine has not been started")
        return served

    async def _predicted(self, served: Served, asked: ReadQuery, arrived: float) -> Decision:
        if served.router is None:
            raise _NoRouterError
        # An explanation takes several times as long as a decision, and must not delay decisions.
        lane = self._slow if asked.query.explain else self._fast
        spent_s = time.perf_counter() - arrived
        return await lane.run(decide_one, served.router, asked, spent_s=spent_s, caller=asked.query.key_id)

    async def _predicted_group(
        self, served: Served, group: Sequence[ReadQuery], arrived: float
    ) -> Sequence[Decision | Exception]:
        """Decide for requests with the same knobs, a few at a time: between two slices others have their turn."""
        if served.router is None:
            return [_NoRouterError()] * len(group)
        decided: list[Decision | Exception] = []
        for start in range(0, len(group), MOST_OF_A_BATCH):
            few = group[start : start + MOST_OF_A_BATCH]
            spent_s, caller = time.perf_counter() - arrived, few[0].query.key_id
            try:
                decided += await self._slow.run(decide_group, served.router, few, spent_s=spent_s, caller=caller)
            except Exception as exc:  # noqa: BLE001 - `_answer` tells whose fault it is
                decided += [exc] * len(few)
        return decided

    async def _by_canary(
        self, contender: Contender, asked: ReadQuery, arrived: float, *, is_slow: bool
    ) -> Routed | None:
        """Return the challenger's answer if it is a canary's and the session is its own; else the champion decides."""
        if contender.mode is not Mode.CANARY or not contender.has(asked.session_key, self._rng):
            return None
        decision = await self._by_challenger(contender, asked, None, arrived, is_slow=is_slow)
        if decision is None:
            return None
        self.challenging.count(contender, Outcome.SERVED)
        return self._answer(contender.served, asked, decision, arrived, trial=contender.trial(arm=CHALLENGER))

    async def _by_champion(
        self,
        contender: Contender | None,
        served: Served,
        asked: ReadQuery,
        decided: Decision | Exception,
        arrived: float,
        *,
        is_slow: bool,
    ) -> Routed:
        """Return the champion's answer; a challenger that explores may have its choice drawn instead.

        Raises
        ------
        InvalidRequestError, EmptyPlanError
        """
        if contender is None:
            return self._answer(served, asked, decided, arrived)
        if contender.mode is Mode.CANARY:
            return self._answer(served, asked, decided, arrived, trial=contender.trial(arm=CHAMPION))
        if contender.mode is Mode.SHADOW or isinstance(decided, Exception):
            return self._answer(served, asked, decided, arrived, shadow=contender)
        served = self.challenging.exploring(served, contender)
        other = None
        if takes_rival(decided, asked, safe_model=served.safe_model):
            features = contender.features_for(served, decided)
            other = await self._by_challenger(contender, asked.unexplained, features, arrived, is_slow=is_slow)
        if other is None:
            return self._answer(served, asked, decided, arrived, trial=contender.trial())
        model, rival = self.challenging.rival(contender, served, asked, decided, other)
        return self._answer(served, asked, decided, arrived, rival=rival, trial=contender.trial(model))

    async def _by_challenger(
        self, contender: Contender, asked: ReadQuery, features: PromptFeatures | None, arrived: float, *, is_slow: bool
    ) -> Decision | None:
        spent_s = time.perf_counter() - arrived
        return await self.challenging.decide(contender, asked, features, spent_s=spent_s, is_slow=is_slow)

    def _answer(
        self,
        served: Served,
        asked: ReadQuery,
        decided: Decision | Exception,
        arrived: float,
        *,
        rival: Rival | None = None,
        trial: Trial | None = None,
        shadow: Contender | None = None,
    ) -> Routed:
        """Return the answer, after it was recorded and shown to the observers.

        Parameters
        ----------
        rival, trial : of a challenger that was asked before
        shadow : a challenger that is asked afterwards

        Raises
        ------
        InvalidRequestError, EmptyPlanError
        """
        if isinstance(decided, Exception):
            routed = self._fall_back(served, asked, decided, arrived, trial)
        else:
            try:
                routed = self._answers.predicted(served, asked, decided, arrived, rival=rival, trial=trial)
            except Exception as exc:  # noqa: BLE001 - whose fault it is, the next line tells
                routed = self._fall_back(served, asked, exc, arrived, trial)
        self.conversations.decided(asked, routed)
        self._tell(served, asked, routed, decided, shadow)
        return routed

    def _fall_back(
        self, served: Served, asked: ReadQuery, exc: Exception, arrived: float, trial: Trial | None
    ) -> Routed:
        raise_callers_error(exc)
        degraded_by = _degraded_by(exc)
        try:
            routed = self._answers.default(served, asked, degraded_by, arrived, trial=trial)
        except Exception as second:
            # The default plan obeys constraints as well, and may find that they leave no model.
            raise_callers_error(second)
            raise
        self._degraded[degraded_by] += 1
        count = self._throttle.due(degraded_by)
        if count:
            _log.warning(
                "%d requests were answered by the default plan: %s (%s)", count, degraded_by, error_location(exc)
            )
        return routed

    def _unsealed(self, served: Served, asked: ReadQuery, decided: Decision | Exception) -> UnsealedFeatures | None:
        """Return the features that the log is to keep; without a prediction there are none."""
        if self._keys is None or served.router is None or isinstance(decided, Exception) or decided.features is None:
            return None
        return UnsealedFeatures(self._keys, asked.prompt, decided.features, served.router.artifact.encoder_hash)

    def _tell(
        self,
        served: Served,
        asked: ReadQuery,
        routed: Routed,
        decided: Decision | Exception,
        shadow: Contender | None,
    ) -> None:
        """Write the decision down and show it to the observers; neither may spoil it."""
        try:
            kept = self._storage, self._volume
            unsealed = self._unsealed(served, asked, decided)
            pending = PendingDecision.of(asked.query, routed, asked.prompt, *kept, unsealed=unsealed)
            if shadow is None or isinstance(decided, Exception) or not routed.predicted:
                self._decision_log.put(pending)
            else:
                features = shadow.features_for(served, decided)
                # Exploration puts another candidate before the one that the rule prefers.
                champion = routed.plan[1 if routed.explored else 0].model
                self._shadow.take(Waiting(shadow, pending, asked, features, champion))
        except Exception as exc:  # noqa: BLE001
            self._complain("a decision could not be recorded", exc)
        for observer in self._observers:
            try:
                observer(asked.query, routed)
            except Exception as exc:  # noqa: BLE001
                self._complain("an observer failed", exc)

    def _record(self, pending: PendingDecision) -> None:
        try:
            self._decision_log.put(pending)
        except Exception as exc:  # noqa: BLE001 - the next one may be recorded
            self._complain("a decision could not be recorded", exc)

    def _complain(self, what: str, exc: Exception) -> None:
        count = self._throttle.due(what)
        if count:
            _log.error("%s, %d times: %s", what, count, error_location(exc))

    def _replace_stuck_lanes(self) -> None:
        """Give a new router a new thread if the old router's thread hangs."""
        # A thread cannot be stopped. The old one ends after its work, if that ever returns.
        if self._fast.is_stuck or self._slow.is_stuck:
            self._fast.close()
            self._slow.close()
            self._fast, self._slow = self._lanes()


def _exploration(settings: Settings) -> ByRouter:
    """Return how to explore; where the settings do not say how often, a starter does and a trained router does not."""
    limits = settings.explore_max_p_drop, settings.explore_max_cost_ratio
    share = settings.explore_share
    shares = (0.0, STARTER_SHARE) if share is None else (share, share)
    return ByRouter(Exploration(shares[0], *limits), Exploration(shares[1], *limits, none_graded=True))


class _NoRouterError(Exception):
    """Raised if no artifact could be loaded."""


def _degraded_by(exc: Exception) -> str:
    if isinstance(exc, DeadlineMissedError):
        return "deadline"
    return "no_router" if isinstance(exc, _NoRouterError) else "predictor_error"
