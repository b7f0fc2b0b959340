"""The work in a lane's thread: ask the router, for one request or for several similar ones."""

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from router_model.catalog import Catalog, ModelCard
from router_model.decision import Decision
from router_model.router import Router
from router_model.serving.engine.read_query import ReadQuery, Session
from router_model.serving.engine.self_check import has_numbers

MOST_TOGETHER = 7
"""Requests that are decided together: from 8 on compiled code (`router_model.prediction.compiled`) does not pay."""


class PredictionError(Exception):
    """Raised if a prediction is not a finite number."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A request to a router, decided when it is called."""

    router: Router
    asked: ReadQuery
    session: Session | None

    def __call__(self) -> Decision:
        """Decide; see `decide_one`."""
        return decide_one(self.router, self.asked, self.session)


def decide_together(asks: Sequence[Ask]) -> list[Decision | Exception]:
    """Decide requests that happened to wait together; those with the same settings are decided at once.

    Returns
    -------
    list of Decision or Exception
        In the order of `asks`; an error of one does not affect the others.
    """
    groups: dict[Hashable, list[Ask]] = defaultdict(list)
    keys = [(id(ask.router), ask.asked.group) for ask in asks]
    for key, ask in zip(keys, asks, strict=True):
        groups[key].append(ask)
    decided = {key: iter(_decided(group)) for key, group in groups.items()}
    return [next(decided[key]) for key in keys]


def _decided(group: Sequence[Ask]) -> list[Decision | Exception]:
    first = group[0]
    if len(group) == 1:
        return [_tried(*group)]
    return decide_group(first.router, [ask.asked for ask in group], [ask.session for ask in group])


def decide_one(router: Router, asked: ReadQuery, session: Session | None) -> Decision:
    """Ask the router.

    Raises
    ------
    PredictionError
    RequestError, NoCandidateError, and whatever else the router raises
    """
    (decision,) = _decide(router, [asked], [session])
    if not has_numbers(decision):
        raise PredictionError("a prediction is not a finite number")
    return decision


def decide_group(
    router: Router, group: Sequence[ReadQuery], sessions: Sequence[Session | None]
) -> list[Decision | Exception]:
    """Ask the router for requests with the same settings: all at once, or one by one if one of them fails."""
    try:
        decisions = _decide(router, group, sessions)
        if all(map(has_numbers, decisions)):
            return [*decisions]
    except Exception:  # noqa: BLE001, S110 - whose fault it is shows below, one by one
        pass
    return [_tried(Ask(router, asked, session)) for asked, session in zip(group, sessions, strict=True)]


def _decide(router: Router, group: Sequence[ReadQuery], sessions: Sequence[Session | None]) -> list[Decision]:
    """Ask the router at once for requests of one group."""
    query = group[0].query
    warm_caches = [None if session is None else session.warm_cache for session in sessions]
    return with_cards(router, query.cards).decide(
        [asked.prompt for asked in group],
        query.goal,
        constraints=query.constraints,
        explain=query.explain,
        warm_caches=warm_caches if any(warm_caches) else None,
    )


def with_cards(router: Router, cards: Mapping[str, ModelCard]) -> Router:
    """Return a router with a request's own prices and limits in its catalog."""
    if not cards:
        return router
    return Router.assemble(router.artifact, router.encoder, catalog=Catalog({**router.catalog.cards, **cards}))


def _tried(ask: Ask) -> Decision | Exception:
    try:
        return ask()
    except Exception as exc:  # noqa: BLE001 - the caller of the lane tells whose fault it is
        return exc
