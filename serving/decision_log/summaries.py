"""Sum up the records of a period: what the console shows of an hour takes one small row instead of thousands.

A summary is a tree: dicts whose leaves are numbers. Two summaries are added leaf by leaf (`added`), so that minutes
make an hour, and hours a month. Everything in it is a count, a sum or a histogram; percentiles and intervals are worked
out from those (`router_model.serving.console.figures`).

Simplifies: a decision and its calls are joined within the period alone. The few calls that begin in the next one count
there, with their cost, but for no router, and their decision counts as one that was not called.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple, TypeAlias

from router_model.serving.common.router_names import DEFAULT_ROUTER

Tree: TypeAlias = dict[str, Any]
"""Names to numbers, or to trees."""

ALL: Final = ""
"""In the place of a key's id: all keys together."""
NO_KEY: Final = "-"
"""In the place of the id of a key: a service without keys."""
_NO_MODEL: Final = "-"
_ROUTER: Final = "@"
"""Before the name of a router, in the place of a key's id; no key's id has it."""
_RATIO: Final = math.log(1.05)
"""Of two neighbouring steps of a histogram: a percentile is right within 2.5 %."""
QUALITY: Final = "quality"
MEASURED_USD: Final = "measured_usd"
"""What calls that were made here cost; those that a gateway reports are left out."""


class DecisionRow(NamedTuple):
    """What is read of a decision."""

    decision_id: str
    created_at: datetime
    model: str | None
    reason: str | None
    key_id: str | None
    candidates: Mapping[str, Sequence[Any]] | None
    quality_bar: float | None
    explored: bool | None
    degraded: bool | None
    decision_s: float | None
    router: str | None


class AttemptRow(NamedTuple):
    """What is read of a call."""

    decision_id: str | None
    created_at: datetime
    model: str | None
    provider: str | None
    key_id: str | None
    error_type: str | None
    cost_usd: float | None
    latency_s: float | None
    first_token_s: float | None
    input_tokens: int | None
    output_tokens: int | None
    authority: str | None


class FeedbackRow(NamedTuple):
    """What is read of a judgement, with the bar, the model, the key and the router of the decision that it is about."""

    created_at: datetime
    score: float
    quality_bar: float | None
    model: str | None
    key_id: str | None
    router: str | None


def of_router(name: str) -> str:
    """Return what is in the place of a key's id: what a router decided, for all keys together.

    >>> of_router("support"), is_of_router(of_router("support")), is_of_router(ALL)
    ('@support', True, False)
    """
    return f"{_ROUTER}{name}"


def is_of_router(key: str) -> bool:
    """Return whether a router's summary is meant, not a key's."""
    return key.startswith(_ROUTER)


def step(seconds: float) -> str:
    """Return the step of a histogram that a duration falls into.

    >>> value_of(step(1.0)), round(value_of(step(2.0)), 1)
    (1.0, 2.0)
    """
    return str(round(math.log(max(seconds, 1e-6)) / _RATIO))


def value_of(step: str) -> float:
    """Return the duration, in seconds, that a step of a histogram stands for."""
    return math.exp(int(step) * _RATIO)


def added(into: Tree, other: Mapping[str, Any]) -> Tree:
    """Add a summary to another one, in its place.

    >>> added({"n": 1, "models": {"a": 1}}, {"n": 2, "models": {"b": 5}})
    {'n': 3, 'models': {'a': 1, 'b': 5}}
    """
    for name, value in other.items():
        if isinstance(value, dict):  # not `Mapping`, whose check takes longer than the sum
            added(into.setdefault(name, {}), value)
        else:
            into[name] = into.get(name, 0) + value
    return into


def count(tree: Tree, *path: str, by: float = 1) -> None:
    """Add to a leaf, which is made if it is not there."""
    for name in path[:-1]:
        tree = tree.setdefault(name, {})
    tree[path[-1]] = tree.get(path[-1], 0) + by


def summarise(
    decisions: Iterable[DecisionRow], attempts: Iterable[AttemptRow], feedback: Iterable[FeedbackRow]
) -> dict[str, Tree]:
    """Return the summaries of a period's records, by the id of the key; under `ALL` those of all keys together.

    Under the names of routers (`of_router`) is what each of them decided, with its calls and judgements.
    """
    # Each record is added to one tree; the sums of these trees cost little.
    by_both: dict[tuple[str, str | None], Tree] = defaultdict(dict)
    calls: dict[str, list[AttemptRow]] = defaultdict(list)
    named: list[AttemptRow] = []
    for call in attempts:
        (named if call.decision_id is None else calls[call.decision_id]).append(call)
    for decision in decisions:
        tree = by_both[decision.key_id or NO_KEY, decision.router or DEFAULT_ROUTER]
        _add_decision(tree, decision, own := _measured(calls.pop(decision.decision_id, [])))
        _add_calls(tree, decision.key_id, own)
    # Calls of models that were named, and of decisions of another period.
    for group in (*([call] for call in named), *map(_measured, calls.values())):
        if group:
            tree = by_both[group[0].key_id or NO_KEY, None]
            count(tree, "n_named", by=group[0].decision_id is None)
            _add_calls(tree, group[0].key_id, group)
    for judgement in feedback:
        # What is known of a judgement's decision is known with its bar.
        router = None if judgement.quality_bar is None else judgement.router or DEFAULT_ROUTER
        _add_judgement(by_both[judgement.key_id or NO_KEY, router], judgement)
    summaries: dict[str, Tree] = {ALL: {}}
    for (key, of), tree in by_both.items():
        for name in (key, ALL, *(() if of is None else (of_router(of),))):
            added(summaries.setdefault(name, {}), tree)
    return summaries


def _measured(calls: list[AttemptRow]) -> list[AttemptRow]:
    """Return the calls of a decision; those that were made here, if a gateway reported them, too."""
    return [call for call in calls if call.authority is None] or calls


def _add_decision(tree: Tree, decision: DecisionRow, calls: Sequence[AttemptRow]) -> None:
    count(tree, "n_decisions")
    count(tree, "models", decision.model or _NO_MODEL)
    count(tree, "reasons", decision.reason or "-")
    count(tree, "n_explored", by=bool(decision.explored))
    count(tree, "n_degraded", by=bool(decision.degraded))
    if decision.decision_s is not None:
        count(tree, "decision_s", step(decision.decision_s))
    _add_costs(tree, decision, calls)


def _add_costs(tree: Tree, decision: DecisionRow, calls: Sequence[AttemptRow]) -> None:
    """Compare what the chosen model costs with what each candidate would have.

    The sums are those of a paired difference: of c, what the decision cost, and of e, what a candidate was expected to
    cost. What was spent is known if the decision was called here; else the expectation stands for it.
    """
    columns = decision.candidates or {}
    models, expected = columns.get("model") or (), columns.get("expected_cost_usd") or ()
    predicted = columns.get("p_success") or [None] * len(models)
    costs = {m: (e, p) for m, e, p in zip(models, expected, predicted, strict=False) if e is not None and p is not None}
    if decision.model not in costs:
        return
    own, chance = costs[decision.model]
    spent = [call.cost_usd for call in calls if call.cost_usd is not None]
    cost = math.fsum(spent) if spent else own
    added(tree, {"compared": {"n": 1, "c": cost, "cc": cost * cost, "p": chance}})
    against: Tree = tree.setdefault("against", {})
    for model, (e, p) in costs.items():
        added(against.setdefault(model, {}), {"n": 1, "p": p, "e": e, "ee": e * e, "ec": e * cost})
    if spent and len(calls) == 1 and calls[0].model == decision.model:  # what a call costs beside its expectation
        met = {"n": 1, "a": cost, "aa": cost * cost, "e": own, "ee": own * own, "ae": cost * own}
        added(tree.setdefault("met", {}).setdefault(decision.model, {}), met)


def _add_calls(tree: Tree, key_id: str | None, calls: Sequence[AttemptRow]) -> None:
    """Add the calls of one request."""
    if not calls:
        return
    first, answered = calls[0], next((call for call in calls if call.error_type is None), None)
    count(tree, "n_called")
    count(tree, "n_answered", by=answered is not None)
    count(tree, "n_retried", by=len(calls) > 1)
    count(tree, "n_fallbacks", by=answered is not None and answered.model != first.model)
    for call in calls:
        count(tree, "n_calls")
        model = call.model or _NO_MODEL
        if call.error_type is not None:
            count(tree, "errors", call.error_type)
            count(tree, "failing", call.provider or call.model or "-")
        elif call.latency_s is not None:
            count(tree, "latency_s", step(call.latency_s))
        if call.error_type is None and call.first_token_s is not None:
            count(tree, "first_token_s", step(call.first_token_s))
        if call.authority is None:
            count(tree, MEASURED_USD, by=call.cost_usd or 0.0)
        spent = {"n": 1, "usd": call.cost_usd or 0.0, "unpriced": call.cost_usd is None and call.error_type is None}
        spent |= {"in": call.input_tokens or 0, "out": call.output_tokens or 0}
        added(tree, {"spend": {key_id or NO_KEY: {model: spent}}})


def _add_judgement(tree: Tree, judgement: FeedbackRow) -> None:
    if judgement.quality_bar is None:  # its decision is not there any more
        count(tree, "n_unplaced")
        return
    judged = {"n": 1, "won": int(judgement.score >= judgement.quality_bar), "score": judgement.score}
    added(tree, {"judged": {judgement.model or _NO_MODEL: judged}})
