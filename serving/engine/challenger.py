"""The challenger in the running service: a second router that decides beside the champion, or for some sessions.

A folder of published routers names it, with what it is to do (`router_model.saved.place.Challenger`):

- **Shadow.** It decides after the answer, and its choice is only noted (`router_model.serving.engine.shadow`).
- **Explore.** It decides before the answer. Where it would choose another model than the champion, the answer is drawn
  between the two, with known propensities (`router_model.serving.engine.exploration.Rival`).
- **Canary.** It decides for a share of the sessions. Which, a hash says, so workers and restarts agree.

It has threads of its own and half of a decision's deadline, and whatever goes wrong with it, the champion's decision is
the answer: failures are counted by kind, and said.
"""

import asyncio
import hashlib
import json
import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from random import Random
from typing import Any, Final

from router_model.decision import Decision
from router_model.errors import ArtifactError, RouterModelError
from router_model.features import FeatureError
from router_model.features.featuriser import PromptFeatures
from router_model.router import Router
from router_model.saved.place import Challenger, Mode, Place
from router_model.serving.common.error_location import error_location
from router_model.serving.common.log_throttle import LogThrottle
from router_model.serving.common.settings import Settings
from router_model.serving.engine.artifact_source import ArtifactSource, Sighting
from router_model.serving.engine.deciding import decide_one
from router_model.serving.engine.decision_answers import ruled
from router_model.serving.engine.default_plan import default_plan
from router_model.serving.engine.exploration import Rival
from router_model.serving.engine.faults import callers_error
from router_model.serving.engine.lane import SLOW_FACTOR, DeadlineMissedError, Lane
from router_model.serving.engine.loading import LOAD_DEADLINE_S, Loader, in_words
from router_model.serving.engine.query import Trial
from router_model.serving.engine.read_query import ReadQuery
from router_model.serving.engine.reload import Served, policy_version

_log = logging.getLogger(__name__)

CHAMPION: Final = "champion"
CHALLENGER: Final = "challenger"
_DEADLINE_SHARE: Final = 0.5  # of a decision's; the champion has the rest if the challenger is late
_MOVES_SHOWN: Final = 10
_N_DIGITS: Final = 12
_NO_OUTCOMES: Final = "no_outcomes"
_HASH_RANGE: Final = 2**64


class Outcome(StrEnum):
    """What came of asking the challenger."""

    SAME = "same"
    """It chose the champion's model."""
    DIFFERENT = "different"
    """It chose another one."""
    SERVED = "served"
    """Of a canary: its choice was served."""
    FAILED = "failed"
    """It raised an error, or found no model that the request allows."""
    TOO_SLOW = "too_slow"
    """It missed its deadline."""
    NOT_OFFERED = "not_offered"
    """It chose a model that the champion has ruled out for this request."""
    SKIPPED = "skipped"
    """In shadow: it has used up its share of the processor, or too many decisions waited for it."""


@dataclass(frozen=True, slots=True)
class Contender:
    """A challenger that is loaded.

    Attributes
    ----------
    pointer : Challenger
        What the place says of it.
    served : Served
        Its router and what is answered with it.
    """

    pointer: Challenger
    served: Served

    @classmethod
    def of(cls, pointer: Challenger, router: Router, settings: Settings) -> "Contender":
        """Return a router as a challenger."""
        plan = default_plan(settings.default_plan, router.artifact, router.catalog)
        return cls(pointer, Served(router, plan, policy_version(settings, router)))

    @property
    def router(self) -> Router:
        """Its router, which a challenger always has."""
        if self.served.router is None:
            raise ArtifactError("a challenger without a router")
        return self.served.router

    @property
    def mode(self) -> Mode:
        """What it does."""
        return self.pointer.mode

    def trial(self, model: str | None = None, *, arm: str | None = None) -> Trial:
        """Return what the log notes of it."""
        return Trial(self.pointer.router, model, arm, None if arm is None else self.pointer.share)

    def has(self, session_key: str | None, rng: Random) -> bool:
        """Tell whether a session is the challenger's, in a canary; a request without a session is drawn by itself."""
        if session_key is None:
            return rng.random() < self.pointer.share
        return position_of_session(session_key, self.pointer.router) < self.pointer.share

    def features_for(self, champion: Served, decision: Decision) -> PromptFeatures | None:
        """Return the champion's features of the prompt, if they are the challenger's, too."""
        shared = champion.router is not None and champion.router.encoder is self.router.encoder
        return decision.features if shared else None


def position_of_session(session_key: str, challenger: str) -> float:
    """Return where a session stands between 0 and 1: below its share, it is the canary's.

    It depends on nothing else, so a session stays in its arm, and a larger share adds sessions and moves none back.

    >>> position_of_session("a", "9f86d081884c") == position_of_session("a", "9f86d081884c")
    True
    """
    digest = hashlib.sha256(f"{challenger}\0{session_key}".encode()).digest()
    return int.from_bytes(digest[:8]) / _HASH_RANGE


class Challenging:
    """Follows the challenger that the place names, and asks it.

    Parameters
    ----------
    settings : Settings
    loader : Loader
    champion : returns what is served now

    Attributes
    ----------
    cpu_s : float
        Processor time that the challengers have taken to decide, since the start.
    """

    def __init__(self, settings: Settings, loader: Loader, *, champion: Callable[[], Served | None]) -> None:
        self._settings = settings
        self._loader = loader
        self._champion = champion
        self._contender: Contender | None = None
        self._pointer: Challenger | None = None
        self._tried: tuple[object, ...] | None = None
        self._refused: str | None = None
        self._said: tuple[str, object] | None = None
        self._turn = asyncio.Lock()
        self._lanes: tuple[Lane, Lane] | None = None
        self._loading = Lane("challenger-loader", deadline_s=LOAD_DEADLINE_S)
        self._counts: Counter[tuple[Mode, Outcome]] = Counter()
        self._moves: Counter[tuple[str, str]] = Counter()
        self._mixed: tuple[Served, Contender, Served] | None = None
        self._throttle = LogThrottle()
        self.cpu_s = 0.0

    @property
    def contender(self) -> Contender | None:
        """The challenger that is asked now; None without one."""
        return self._contender

    @property
    def status(self) -> dict[str, Any] | None:
        """The challenger as plain JSON types; None without one.

        What came of asking it and processor time are totals since the start, `moves` are of this challenger.
        """
        if self._pointer is None and self._refused is None:
            return None
        pointer, contender = self._pointer, self._contender
        moves = [
            {"from": champion, "to": challenger, "n": n}
            for (champion, challenger), n in self._moves.most_common(_MOVES_SHOWN)
        ]
        return {
            **({} if pointer is None else json.loads(pointer.as_line())),
            "loaded": contender is not None and contender.pointer == pointer,
            "policy_version": None if contender is None else contender.served.policy_version,
            "refused": self._refused,
            "moves": moves,
            "cpu_s": round(self.cpu_s, 3),
            "asked": {mode.value: counts for mode in Mode if (counts := self._of(mode))},
        }

    def _of(self, mode: Mode) -> dict[str, int]:
        return {outcome.value: n for (of, outcome), n in self._counts.items() if of is mode}

    async def watch(self) -> None:
        """Follow the place's pointer for ever; return at once if the settings name no artifact."""
        while self._settings.artifact is not None:
            try:
                await self.follow()
            except Exception:  # noqa: BLE001 - whatever it is, the champion goes on deciding
                _log.exception("looking for a challenger failed")
            await asyncio.sleep(self._settings.reload_every_s)

    async def follow(self, *, again: bool = False) -> None:
        """Load the challenger that is named now, if it is another one; without one, forget the one that was.

        Parameters
        ----------
        again : bool
            Try one again that was refused, although it looks as it did then.
        """
        champion = self._champion()
        if self._settings.artifact is None or champion is None or champion.router is None:
            return
        async with self._turn:
            seen: tuple[object, ...] | None = None
            try:
                pointer, sighting = await self._loading.run(self._look)
                seen = (pointer, sighting and sighting.version, champion.artifact)
                if seen == self._tried and not (again and self._refused):
                    return
                self._tried, self._refused, self._pointer = seen, None, pointer
                if pointer is None or sighting is None:
                    self._forget()
                    return
                self.take(await self._loading.run(self._load, pointer, sighting.folder, champion))
            except Exception as exc:  # noqa: BLE001 - the champion goes on deciding
                self._refuse(seen, exc)

    def take(self, contender: Contender | None) -> None:
        """Ask this challenger from now on."""
        if contender is None:
            self._forget()
            return
        if self._lanes is None or any(lane.is_stuck for lane in self._lanes):
            self._close_lanes()
            self._lanes = self._new_lanes()
        self._pointer, self._contender, self._said = contender.pointer, contender, None
        self._moves.clear()
        pointer = contender.pointer
        _log.info("challenger %s: %s with a share of %g", pointer.router, pointer.mode, pointer.share)

    def close(self) -> None:
        """Let the threads end."""
        self._close_lanes()
        self._loading.close()

    def _close_lanes(self) -> None:
        for lane in self._lanes or ():
            lane.close()
        self._lanes = None

    async def decide(
        self,
        contender: Contender,
        asked: ReadQuery,
        features: PromptFeatures | None = None,
        *,
        spent_s: float = 0.0,
        is_slow: bool = False,
    ) -> Decision | None:
        """Return the challenger's decision; None if there is none in time.

        Parameters
        ----------
        features : of the prompt, if they are known
        spent_s : float
            What the request has waited already; it takes away from the challenger's deadline what is beyond its share.
        is_slow : bool
            Whether the request is one of a batch, or wants an explanation.
        """
        if self._lanes is None:
            return None
        lane = self._lanes[is_slow]
        spent_s = max(0.0, spent_s - (1 - _DEADLINE_SHARE) * self._settings.decision_deadline_s)
        try:
            return await lane.run(
                self._timed, contender.router, asked, features, spent_s=spent_s, caller=asked.query.key_id
            )
        except Exception as exc:  # noqa: BLE001 - the champion's decision is the answer
            self.fail(contender, exc)
            return None

    def rival(
        self, contender: Contender, champion: Served, asked: ReadQuery, decision: Decision, other: Decision
    ) -> tuple[str, Rival | None]:
        """Compare two decisions of one request.

        Returns
        -------
        model : what the challenger would choose
        rival : the same, to be drawn instead of the champion's choice; None if it is the same, or ruled out
        """
        served = contender.served
        plan, _ = ruled(decision, asked, safe_model=champion.safe_model)
        step = ruled(other, asked, safe_model=served.safe_model)[0][0]
        if step.model == plan[0].model:
            self.count(contender, Outcome.SAME)
            return step.model, None
        if any(one.model == step.model and one.reason != _NO_OUTCOMES for one in decision.excluded):
            self.count(contender, Outcome.NOT_OFFERED)
            return step.model, None
        self.differs(contender, plan[0].model, step.model)
        return step.model, Rival(step, served.default_plan.cards[step.model], contender.pointer.share)

    def exploring(self, champion: Served, contender: Contender) -> Served:
        """Return the champion under the name of the policy that draws between the two."""
        known = self._mixed
        if known is None or known[0] is not champion or known[1] is not contender:
            said = [champion.policy_version, contender.served.policy_version, contender.pointer.share]
            version = hashlib.sha256(json.dumps(said).encode()).hexdigest()[:_N_DIGITS]
            known = self._mixed = champion, contender, replace(champion, policy_version=version)
        return known[2]

    def count(self, contender: Contender, outcome: Outcome) -> None:
        """Count what came of asking it."""
        self._counts[contender.mode, outcome] += 1

    def differs(self, contender: Contender, champion: str, challenger: str) -> None:
        """Count that the two chose different models."""
        self.count(contender, Outcome.DIFFERENT)
        self._moves[champion, challenger] += 1

    def fail(self, contender: Contender, exc: Exception) -> None:
        """Count and say that it did not decide."""
        outcome = Outcome.TOO_SLOW if isinstance(exc, DeadlineMissedError) else Outcome.FAILED
        self.count(contender, outcome)
        if callers_error(exc) is not None:
            return  # a wrong request, or one that no model of the challenger's takes
        n = self._throttle.due(outcome)
        if n:
            _log.warning("the challenger did not decide, %d times: %s (%s)", n, outcome, error_location(exc))

    def _new_lanes(self) -> tuple[Lane, Lane]:
        deadline_s = _DEADLINE_SHARE * self._settings.decision_deadline_s
        return Lane("challenger", deadline_s=deadline_s), Lane("challenger-slow", deadline_s=SLOW_FACTOR * deadline_s)

    def _timed(self, router: Router, asked: ReadQuery, features: PromptFeatures | None) -> Decision:
        """Decide, and keep account of the processor's time; runs in a lane's thread."""
        started_s = time.thread_time()
        try:
            return decide_one(router, asked, features)
        finally:
            self.cpu_s += time.thread_time() - started_s

    def _look(self) -> tuple[Challenger | None, Sighting | None]:
        """Return the challenger that the place names, and its files; runs in a thread."""
        place = None if self._settings.artifact is None else Place.at(self._settings.artifact)
        pointer = None if place is None else place.challenger
        if place is None or pointer is None or place.current == place.folder / pointer.router:
            return None, None
        return pointer, ArtifactSource(place.folder / pointer.router, self._settings.catalog).look()

    def _load(self, pointer: Challenger, folder: Path, champion: Served) -> Contender:
        """Load the challenger's router; runs in a thread."""
        if champion.router is None:
            raise ArtifactError("there is no champion")
        beside = [champion.router]
        if self._contender is not None:
            beside.append(self._contender.router)
        return Contender.of(pointer, self._loader.load(folder, beside=beside), self._settings)

    def _forget(self) -> None:
        if self._contender is not None:
            _log.info("no challenger any more")
        self._contender = None
        self._close_lanes()

    def _refuse(self, seen: tuple[object, ...] | None, exc: Exception) -> None:
        """Go on without a challenger; a fault of its files is said once."""
        reason = in_words(exc)
        if (reason, seen) != self._said:
            _log.error("the challenger was refused; the service goes on without one: %s", reason)
        self._forget()
        self._refused, self._said = reason, (reason, seen)
        if seen is None:  # what the pointer says is not known, or its files are not there
            self._pointer = None
        # Other faults may pass, so that it is tried again.
        self._tried = seen if isinstance(exc, RouterModelError | FeatureError) else None
