"""The engines of a service, one for each of its routers: a request is decided by the engine of the router it asks.

An engine knows nothing of the others. They share what is the service's and not a router's: the log, the conversations
(one that goes on at another router may keep its model there), and equal encoders, which are held once.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from itertools import chain
from typing import Any, Final, Self

from router_model.catalog import ModelCard
from router_model.errors import ArtifactError
from router_model.router import Router
from router_model.serving.common.callers import Caller
from router_model.serving.common.router_names import OPENROUTER_VARIANTS
from router_model.serving.common.service_errors import (
    EmptyPlanError,
    ModelNotFoundError,
    NotReadyError,
    ReloadRefusedError,
    ServiceError,
)
from router_model.serving.common.settings import Settings
from router_model.serving.decision_log.log import DecisionLog
from router_model.serving.engine.conversations import open_conversations
from router_model.serving.engine.decision_answers import Seal
from router_model.serving.engine.engine import Engine, Observer
from router_model.serving.engine.query import Query, Routed
from router_model.serving.engine.recording import PromptVolume
from router_model.serving.engine.reload import Reloaded
from router_model.serving.engine.sessions.sessions import Sessions

_log = logging.getLogger(__name__)

CHALLENGERS_LOAD_S: Final = 10.0
"""How long a start waits for challengers."""
_NAMED = 80  # characters of a name that an error repeats


class Engines(Mapping[str, Engine]):
    """Decides by the router that a query names.

    Parameters
    ----------
    engines : at least one, by the router's name; ``auto`` means the first
    sessions : that they share, started and closed with them
    """

    def __init__(self, engines: Mapping[str, Engine], *, sessions: Sessions | None = None) -> None:
        self._engines = dict(engines)
        self._sessions = sessions
        self._differing: set[str] = set()
        self.default_name = next(iter(self._engines))
        self._cards: tuple[list[Mapping[str, ModelCard]], Mapping[str, ModelCard]] | None = None

    @classmethod
    def open(
        cls,
        settings: Settings,
        *,
        log: DecisionLog,
        observers: Sequence[Observer] = (),
        seal: Seal = lambda decision_id, _: decision_id,
    ) -> Self:
        """Make the engine of each router that the settings name; see `Engine`."""
        # What a key may do is the service's to limit, however many routers it asks.
        conversations = open_conversations(settings, log)
        volume = PromptVolume(settings.log_prompt_chars_a_minute)
        made: dict[str, Engine] = {}

        def others(name: str) -> Callable[[], Iterable[Router]]:
            return lambda: chain.from_iterable(one.loaded for other, one in made.items() if other != name)

        for name, own in settings.by_router.items():
            made[name] = Engine(
                own,
                log=log,
                conversations=conversations,
                volume=volume,
                observers=observers,
                seal=seal,
                name=name,
                neighbours=others(name),
            )
        return cls(made, sessions=conversations.sessions)

    def __getitem__(self, name: str) -> Engine:
        """Return the engine of a router that there is."""
        return self._engines[name]

    def __iter__(self) -> Iterator[str]:
        """Yield the names of the routers, that of ``auto`` first."""
        return iter(self._engines)

    def __len__(self) -> int:
        """Return how many routers there are."""
        return len(self._engines)

    @property
    def default(self) -> Engine:
        """The engine of the router that ``auto`` means to a key without one of its own."""
        return self._engines[self.default_name]

    def chosen(self, asked: str | None, caller: Caller) -> str:
        """Return the name of the router that a caller asks.

        Parameters
        ----------
        asked : as the request names it; None or '': the caller's own, else that of ``auto``

        Raises
        ------
        ModelNotFoundError
            If there is none of this name; the message says which there are.
        """
        name = asked or caller.router or self.default_name
        self.check_named(name)
        return name

    def check_named(self, name: str) -> None:
        """Refuse the name of no router.

        Raises
        ------
        ModelNotFoundError
            As `chosen`.
        """
        if name in self._engines:
            return
        known = ", ".join(f"'auto:{one}'" for one in self)
        hint = f"; OpenRouter's variants, such as ':{name}', are not served" if name in OPENROUTER_VARIANTS else ""
        raise ModelNotFoundError(
            f"the service has no router {name[:_NAMED]!r}; its routers are {known}, and 'auto' is that of the key or "
            f"{self.default_name!r}{hint}",
            param="model",
        )

    def choose(self, caller: Caller, asked: str) -> tuple[str, Sequence[str]]:
        """Return the name of the router that a caller asks, and its candidates; none while it is not loaded.

        Raises
        ------
        ModelNotFoundError
            As `chosen`.
        """
        name = self.chosen(asked, caller)
        router = self._engines[name].router
        return name, () if router is None else router.models

    def by_policy(self, policy_version: str, caller: Caller) -> str | None:
        """Return the name of the router whose policy has this version now; None: of none.

        Routers that are not loaded may have one policy, a default plan: the caller's own goes first, then one that is
        ready.
        """
        found = [name for name, one in self._engines.items() if one.policy_version == policy_version]
        if caller.router in found:
            return caller.router
        return next((name for name in found if self._engines[name].ready), found[0] if found else None)

    @property
    def models(self) -> tuple[str, ...]:
        """Ids of the candidates of all routers."""
        found = [router.models for one in self._engines.values() if (router := one.router) is not None]
        return found[0] if len(found) == 1 else tuple(dict.fromkeys(chain.from_iterable(found)))

    @property
    def cards(self) -> Mapping[str, ModelCard] | None:
        """The cards of all routers' models; None: no router is loaded.

        Of a model in several it is that of the first router, or of the first one with a list price. The mapping is the
        same object as long as nothing changes.
        """
        found = [cards for one in self._engines.values() if (cards := one.cards) is not None]
        if len(found) <= 1:
            return found[0] if found else None
        kept = self._cards
        if kept is None or len(kept[0]) != len(found) or any(a is not b for a, b in zip(kept[0], found, strict=True)):
            kept = self._cards = found, self._merged(found)
        return kept[1]

    def _merged(self, found: Sequence[Mapping[str, ModelCard]]) -> Mapping[str, ModelCard]:
        """Return one card of each model; say once where two prices of one differ."""
        merged: dict[str, ModelCard] = {}
        for model, card in chain.from_iterable(cards.items() for cards in found):
            kept = merged.setdefault(model, card)
            if card.has_list_price and not kept.has_list_price:
                merged[model] = card
            elif card.has_list_price and card.prices != kept.prices and model not in self._differing:
                self._differing.add(model)
                _log.warning("%s: two routers have two prices of it; calls are billed by the first one's", model)
        return merged

    @property
    def ready(self) -> bool:
        """Whether at least one router decides: it must not be without work because of another one."""
        return any(one.ready for one in self._engines.values())

    @property
    def unready(self) -> list[str]:
        """The names of the routers that do not decide."""
        return [name for name, one in self._engines.items() if not one.ready]

    @property
    def status(self) -> dict[str, dict[str, Any]]:
        """The state of each engine for operators."""
        return {name: one.status for name, one in self._engines.items()}

    async def start(self) -> None:
        """Start the engines; they load one after the other, so that they find each other's encoders.

        Challengers come before the first request: a worker that has just restarted would else answer the sessions of a
        canary with the champion. Those that are slow to load delay the start by ten seconds and are asked later.

        Raises
        ------
        ArtifactError
            If nothing could be decided: no artifact can be served and the settings name no default plan. One router
            among several may be missing; the service looks for it again and again.
        """
        alone = len(self) == 1
        for name, engine in self._engines.items():
            await engine.load(may_wait=not alone)
            if not engine.ready and not alone:
                _log.error("router %s is not ready; the others answer, and it is looked for again and again", name)
        if not any(one.ready or one.default_plan for one in self._engines.values()):
            reasons = "; ".join(f"{name}: {one.status['refused']}" for name, one in self._engines.items())
            raise ArtifactError(f"none of the routers can be served: {reasons}")
        turn = asyncio.Lock()
        await asyncio.wait([one.find_challenger(turn) for one in self._engines.values()], timeout=CHALLENGERS_LOAD_S)
        if self._sessions is not None:
            await self._sessions.start()
        for engine in self._engines.values():
            engine.watch()

    async def close(self) -> None:
        """Stop all engines, whatever happens to one of them; then their sessions."""
        async with AsyncExitStack() as stack:
            if self._sessions is not None:
                stack.push_async_callback(self._sessions.close)
            for engine in self._engines.values():
                stack.push_async_callback(engine.close)

    async def decide(self, query: Query) -> Routed:
        """Decide; see `Engine.decide`.

        Raises
        ------
        NotReadyError
            If the router could not be loaded, and there is no default plan.
        """
        engine = self._engines[query.router]
        try:
            return await engine.decide(query)
        except EmptyPlanError as exc:
            raise self._told(exc, query) from exc

    async def decide_batch(self, queries: Sequence[Query]) -> list[Routed | ServiceError]:
        """Decide each request, in order; an error of one does not affect the others."""
        rows: dict[str, list[int]] = defaultdict(list)
        for row, query in enumerate(queries):
            rows[query.router].append(row)
        decided = await asyncio.gather(
            *(self._engines[name].decide_batch([queries[row] for row in own]) for name, own in rows.items())
        )
        found = dict(zip(chain.from_iterable(rows.values()), chain.from_iterable(decided), strict=True))
        return [
            self._told(found[row], query) if isinstance(found[row], EmptyPlanError) else found[row]  # type: ignore[arg-type]
            for row, query in enumerate(queries)
        ]

    def _told(self, error: EmptyPlanError, query: Query) -> ServiceError:
        """Return the error of a plan without models: of a router that is not there it says so."""
        engine = self._engines[query.router]
        if engine.ready or engine.default_plan:
            return error
        return NotReadyError(
            f"router {query.router!r} is not loaded, as its artifact was refused; the service tries again and again; "
            "ask another router ('auto:NAME'), or name a model"
        )

    async def reload(self, only: str | None = None) -> dict[str, Reloaded]:
        """Load anew what each router's path names, or that of one; see `Engine.reload`.

        Raises
        ------
        ReloadRefusedError
            If an artifact cannot be served; its router goes on as it was, and all others are loaded anew. Of several
            routers the error's metadata names those that were loaded and those that were refused.
        """
        loaded: dict[str, Reloaded] = {}
        refused: dict[str, str] = {}
        for name in self._engines if only is None else (only,):
            try:
                loaded[name] = await self._engines[name].reload()
            except ReloadRefusedError as exc:
                refused[name] = exc.message
        if refused and len(self) == 1:
            raise ReloadRefusedError(*refused.values())
        if refused:
            raise ReloadRefusedError(
                "; ".join(f"router {name!r}: {why}" for name, why in refused.items()),
                metadata={"loaded": [*loaded], "refused": [*refused]},
            )
        return loaded
