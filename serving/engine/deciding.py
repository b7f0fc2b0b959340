"""The work in a lane's thread: ask the router, for one request or for several similar ones."""

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace

from router_model.catalog import Catalog, ModelCard
from router_model.decision import Decision
from router_model.features.featuriser import PromptFeatures
from router_model.router import Router
from router_model.serving.common.lean_imports import import_lightgbm_alone
from router_model.serving.engine.read_query import ReadQuery
from router_model.serving.engine.self_check import has_numbers

MOST_TOGETHER = 32
"""Requests that are decided together where so many wait: 0.30 ms each; eight take 0.38 ms each, and one 0.75 ms."""
MOST_OF_A_BATCH = 8
"""Requests of one batch that are decided together; between two such slices others have their turn."""


class PredictionError(Exception):
    """Raised if a prediction is not a finite number."""


def decide_together(asks: Sequence[tuple[Router, ReadQuery]]) -> list[Decision | Exception]:
    """Decide requests that happened to wait together; those with the same settings are decided at once.

    Parameters
    ----------
    asks : the arguments of `decide_one` for each
        Routers differ where one was replaced meanwhile.

    Returns
    -------
    list of Decision or Exception
        In the order of `asks`; an error of one does not affect the others.
    """
    # After a swap requests of two routers may wait together, and each is decided by its own.
    routers = {id(router): router for router, _ in asks}
    groups: dict[tuple[int, Hashable], list[ReadQuery]] = defaultdict(list)
    keys = [(id(router), asked.group) for router, asked in asks]
    for key, (_, asked) in zip(keys, asks, strict=True):
        groups[key].append(asked)
    decided = {key: iter(decide_group(routers[key[0]], group)) for key, group in groups.items()}
    return [next(decided[key]) for key in keys]


def decide_one(router: Router, asked: ReadQuery, features: PromptFeatures | None = None) -> Decision:
    """Ask the router.

    Parameters
    ----------
    features : of the prompt, as another router of the same encoder kept them for the same request

    Raises
    ------
    PredictionError
    RequestError, NoCandidateError, and whatever else the router raises
    """
    (decision,) = _decide(router, [asked], features)
    if not has_numbers(decision):
        raise PredictionError("a prediction is not a finite number")
    return decision


def decide_group(router: Router, group: Sequence[ReadQuery]) -> list[Decision | Exception]:
    """Ask the router for requests with the same settings: all at once, or one by one if one of them fails."""
    if len(group) == 1:
        return [_tried(router, *group)]
    try:
        decisions = _decide(router, group)
        if all(map(has_numbers, decisions)):
            return [*decisions]
    except Exception:  # noqa: BLE001, S110 - whose fault it is shows below, one by one
        pass
    return [_tried(router, asked) for asked in group]


def _decide(router: Router, group: Sequence[ReadQuery], features: PromptFeatures | None = None) -> list[Decision]:
    """Ask the router at once for requests of one group."""
    query = group[0].query
    if query.explain:
        import_lightgbm_alone()  # explanations need it; without this it would come with everything that is installed
    warm_caches = [asked.warm_cache for asked in group]
    return with_cards(router, query.cards).decide(
        [asked.prompt for asked in group],
        query.goal,
        constraints=query.constraints,
        explain=query.explain,
        warm_caches=warm_caches if any(warm_caches) else None,
        keep_features=True,
        features=features,
    )


def with_cards(router: Router, cards: Mapping[str, ModelCard]) -> Router:
    """Return a router with a request's own prices and limits in its catalog."""
    if not cards:
        return router
    return replace(router, catalog=Catalog({**router.catalog.cards, **cards}).only(router.models))


def _tried(router: Router, asked: ReadQuery) -> Decision | Exception:
    try:
        return decide_one(router, asked)
    except Exception as exc:  # noqa: BLE001 - the caller of the lane tells whose fault it is
        return exc
