"""The savings ledger: what a log's calls cost, and what always calling one model would have cost and achieved.

Each single model is a policy, and is estimated as any other one (`offpolicy.estimates`), paired with the policy that
wrote the log, as it ran: with its exploration, which was paid for. A model that the log could not have chosen on some
decision cannot be told, and is named.

The comparison is net of two costs of routing:

- **Prompt caches.** A switch of the model within a session loses the cache, which the bills show. A model alone would
  have kept it: it is taken to have read from its cache the input of the session's turn before, as far as the prompt is
  that long, at its cached price. What a bill already had from a cache is added back before a model's cost is estimated,
  so that nothing is counted twice.
- **The router itself** is charged with what the caller says that a request costs.

Predictions are those of a router that did not learn from the rows; or, without one, each model's mean over the other
half of the sessions, so that no row corrects a prediction that it was part of.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from router_model.catalog import Catalog
from router_model.cost import Prices
from router_model.errors import SupportError
from router_model.router import Router
from router_model.training.measuring.design_effect import key_numbers
from router_model.training.measuring.verdict import (
    MARGIN,
    Difference,
    Estimate,
    Finding,
    Verdict,
    describe,
    routing_verdict,
)
from router_model.training.offpolicy.estimates import (
    Chances,
    LoggedPolicy,
    Rewards,
    dr_parts,
    dr_value,
    mean_with_interval,
    paired_parts,
    saving_on_log,
    saving_with_interval,
)
from router_model.training.offpolicy.evaluate_on_log import (
    PolicyValue,
    as_logged,
    cannot_tell,
    rewards_of,
    supported,
    unseen_by,
    view_of,
    with_models,
)
from router_model.training.offpolicy.logged import LoggedDecisions, known_costs, nothing_known
from router_model.training.table.outcomes import Outcomes
from router_model.wording import percent

Float64Array = npt.NDArray[np.float64]

ENOUGH_ROWS: Final = 30
"""Graded answers of a model, below which nothing is said about it."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """What was spent, and what each single model would have cost.

    Attributes
    ----------
    n_logged, n_decisions : decisions of the log, and those that the estimates are about
    left_out : reason -> number of decisions
    spent_usd : of all answers of the log with a known cost
    n_without_cost : answers whose cost is not known
    is_drawn : whether both were scaled up from decisions that were drawn
    router_cost_usd : of the router itself, for all decisions of the log; part of `routed`, not of `spent_usd`
    cache_usd : model -> what its cache saves of the mean cost of a decision, if the model is always called
    routed_cache_usd : what caches did save of the mean cost of a decision
    routed : PolicyValue
        The policy that wrote the log, as it ran, with the cost of the router.
        Or the router that is judged; see `savings`.
    singles : model -> its PolicyValue, best first
    against : model -> the log's policy, or the router that is judged, minus this model
    cheaper : position of the dial -> what this cheaper setting of the router that is judged brings, and that minus the
        best single model; settings whose choices the log could not have made are left out
    shares : model -> the share of the decisions that the router that is judged gives it, and that the log gave it
    against_log : the router that is judged minus the policy that wrote the log; None if no router is judged
    unknown : model -> why nothing can be said about it
    predicted_usd : these models -> mean cost of a decision by the router's predictions; empty without a router
    best : the best single model
    verdict : Verdict
    """

    n_logged: int
    n_decisions: int
    left_out: Mapping[str, int]
    spent_usd: float
    n_without_cost: int
    is_drawn: bool
    router_cost_usd: float
    cache_usd: Mapping[str, float]
    routed_cache_usd: float
    routed: PolicyValue
    singles: Mapping[str, PolicyValue]
    against: Mapping[str, Difference]
    unknown: Mapping[str, str]
    best: str
    verdict: Verdict
    against_log: Difference | None = None
    cheaper: Mapping[int, tuple[PolicyValue, Difference]] = field(default_factory=dict)
    shares: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    predicted_usd: Mapping[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the ledger as plain JSON types."""
        names = (
            "n_logged", "n_decisions", "left_out", "spent_usd", "n_without_cost", "is_drawn", "router_cost_usd",
            "routed_cache_usd", "unknown", "predicted_usd", "best",
        )  # fmt: skip
        return {
            **{name: getattr(self, name) for name in names},
            "routed": self.routed.as_dict(),
            "singles": {
                model: {
                    **value.as_dict(),
                    "cache_usd": self.cache_usd[model],
                    "routed_minus_single": self.against[model].as_dict(),
                }
                for model, value in self.singles.items()
            },
            "against_log": None if self.against_log is None else self.against_log.as_dict(),
            "cheaper": {
                str(position): {**value.as_dict(), "minus_best_single": difference.as_dict()}
                for position, (value, difference) in self.cheaper.items()
            },
            "verdict": self.verdict.as_dict(),
        }


def savings(
    log: LoggedDecisions,
    *,
    router: Router | None = None,
    catalog: Catalog | None = None,
    router_cost_usd_per_request: float = 0.0,
    margin: float = MARGIN,
    judge_router: bool = False,
    supported_only: bool = False,
) -> Ledger:
    """Return the ledger of a log.

    Parameters
    ----------
    log : LoggedDecisions
    router : for predictions, which narrow the intervals; prompts that it was trained on are left out of the estimates
    catalog : prices of calls that were not billed, and of what caches save; default: the router's
        Without any, caches are not counted.
    router_cost_usd_per_request : what running the router costs, over the requests that it decides
    margin : loss of quality that does not matter for the verdict
    judge_router : compare the choices of `router` with the models alone, instead of the policy that wrote the log
    supported_only : with `judge_router`, leave out decisions on which its choice had propensity 0

    Raises
    ------
    SupportError
        If the log could not have chosen any single model on all decisions, or could not have made the choices of the
        router that is judged.
    TableError
        If nothing is left, graded or billed.
    """
    cards = [each for each in (catalog, None if router is None else router.catalog) if each is not None]
    spent = np.concatenate(
        [_Costs.of(log, cards).billed, _answered(known_costs(log.undescribed, cards), log.undescribed)]
    )
    n_logged, n_read = log.n_logged, log.n_read
    scale = n_logged / n_read
    if router is not None:
        log = unseen_by(log, [router])
        log = with_models(log, tuple(dict.fromkeys((*log.outcomes.models, *router.models))))
    view = None if router is None else view_of(router, log, log.outcomes.models)
    if view is not None and judge_router:
        log, (view,) = supported(log, [view], log.outcomes.models, supported_only=supported_only)
    costs = _Costs.of(log, cards)
    if router is not None and view is not None:
        quality, cost = rewards_of(log, [view], [router])
        cost = replace(cost, value=costs.without_cache)
    else:
        quality, cost = _by_means(log, costs.without_cache)
    unknown = _unsupported(log, quality)
    known = [model for model in log.outcomes.models if model not in unknown]
    if not known:
        raise SupportError(
            f"no model could have answered each of {len(log):,} decisions: "
            + "; ".join(f"{model}: {why}" for model, why in unknown.items())
            + ". Explore ('serve --explore-share'), with a wide '--explore-max-cost-ratio'"
        )
    as_it_ran = as_logged(log)
    ran = _Parts(as_it_ran, dr_parts(as_it_ran, replace(cost, value=costs.billed)) + router_cost_usd_per_request)

    def asked(chosen: npt.NDArray[np.intp]) -> _Parts:
        own = _choosing(log, chosen)
        return _Parts(own, dr_parts(own, replace(cost, value=costs.billed)) + router_cost_usd_per_request)

    routed, cheaper, shares = ran, {}, {}
    if judge_router and view is not None:
        routed = asked(view.chosen)
        models = log.outcomes.models
        of_both = [np.bincount(chosen, minlength=len(models)) / len(log) for chosen in (view.chosen, log.taken)]
        shares = {model: (float(own), float(was)) for model, own, was in zip(models, *of_both, strict=True)}
        every = np.arange(len(log))
        cheaper = {
            position: asked(chosen)
            for position, chosen in view.cheaper.items()
            if (log.propensity[every, chosen] != 0).all()
        }
    singles = {}
    for model in known:
        column = log.outcomes.models.index(model)
        always = _choosing(log, np.full(len(log), column))
        singles[model] = _Parts(always, dr_parts(always, cost) - costs.warm[:, column])
    values = {model: _value(parts, quality, cost, log) for model, parts in singles.items()}
    best = max(known, key=lambda model: values[model].quality.low)
    against = {model: _difference(routed, parts, quality, cost, log) for model, parts in singles.items()}
    return Ledger(
        n_logged=n_logged,
        n_decisions=len(log),
        left_out=dict(log.left_out),
        spent_usd=scale * float(np.nansum(spent)),
        n_without_cost=round(scale * int(np.isnan(spent).sum())),
        is_drawn=scale > 1,
        router_cost_usd=n_logged * router_cost_usd_per_request,
        cache_usd={model: float(costs.warm[:, log.outcomes.models.index(model)].mean()) for model in known},
        routed_cache_usd=float(costs.read.mean()),
        routed=_value(routed, quality, cost, log),
        singles={model: values[model] for model in sorted(known, key=lambda m: -values[m].quality.value)},
        against=against,
        unknown=unknown,
        best=best,
        verdict=_verdict(against, best, requests_a_decision=n_read / len(log), margin=margin),
        against_log=_difference(routed, ran, quality, cost, log) if judge_router else None,
        shares=shares,
        predicted_usd={
            model: float(view.cost_usd[:, log.outcomes.models.index(model)].mean())
            for model in unknown
            if view is not None and router is not None and model in router.models
        },
        cheaper={
            position: (_value(parts, quality, cost, log), _difference(parts, singles[best], quality, cost, log))
            for position, parts in cheaper.items()
        },
    )


@dataclass(frozen=True, slots=True)
class _Costs:
    """What the answers of a log cost, and what caches have to do with it, in USD.

    Attributes
    ----------
    billed : shape (n,)
        The bill; of answers without one, the tokens at list prices less what the cache saved. NaN where unknown.
    read : shape (n,)
        What the cache saved of it.
    warm : shape (n, n_models)
        What each model's cache would save if the model had also answered the session's turn before.
    """

    billed: Float64Array
    read: Float64Array
    warm: Float64Array

    @property
    def without_cache(self) -> Float64Array:
        """What the answers would have cost without a cache, shape (n,)."""
        return self.billed + self.read

    @classmethod
    def of(cls, log: LoggedDecisions, catalogs: Sequence[Catalog]) -> "_Costs":
        rows, outcomes = np.arange(len(log)), log.outcomes
        cheaper = np.zeros(len(outcomes.models))
        for catalog in reversed(catalogs):
            columns = [column for column, model in enumerate(outcomes.models) if model in catalog]
            prices = Prices.of(catalog, [outcomes.models[column] for column in columns])
            cheaper[columns] = prices.usd_per_input_token - prices.usd_per_cached_token
        cost = known_costs(outcomes, catalogs)[rows, log.taken]
        read = log.cached_tokens * cheaper[log.taken]
        has_bill = ~np.isnan(outcomes.cost_usd[rows, log.taken])
        prompt = np.nan_to_num(outcomes.input_tokens[rows, log.taken])
        warm = np.minimum(log.warm_tokens, prompt)[:, None] * cheaper
        return cls(np.where(has_bill, cost, cost - read), read, warm)


@dataclass(frozen=True, slots=True)
class _Parts:
    """A policy with each decision's part of its cost, shape (n,)."""

    policy: LoggedPolicy
    cost_usd: Float64Array


def _answered(cost: Float64Array, outcomes: Outcomes) -> Float64Array:
    """Return the cost of each answer about which anything is known."""
    told = np.isfinite(outcomes.quality) | np.isfinite(outcomes.output_tokens) | np.isfinite(cost)
    return cost[told]


def _by_means(log: LoggedDecisions, cost: Float64Array) -> tuple[Rewards, Rewards]:
    quality = log.outcomes.quality[np.arange(len(log)), log.taken]
    for name, values in (("quality", quality), ("cost", cost)):
        if np.isnan(values).all():
            raise nothing_known(name, len(log))
    half = key_numbers(log.outcomes.conversation_keys) % 2
    return (
        Rewards(quality, _means(quality, log, half), log.taken),
        Rewards(cost, _means(cost, log, half), log.taken),
    )


def _means(values: Float64Array, log: LoggedDecisions, half: npt.NDArray[np.intp]) -> Float64Array:
    """Return each model's weighted mean over the other half, and that of all models where it has none."""
    known = ~np.isnan(values)
    n_models = len(log.outcomes.models)
    found = np.zeros((len(log), n_models))
    for side in (0, 1):
        used = known & (half != side)
        weight = np.where(used, 1 / log.propensity_taken, 0.0)
        totals = np.bincount(log.taken, weights=weight, minlength=n_models)
        sums = np.bincount(log.taken, weights=weight * np.where(used, values, 0.0), minlength=n_models)
        overall = float(sums.sum() / totals.sum()) if totals.sum() > 0 else 0.0
        found[half == side] = np.divide(sums, totals, out=np.full(len(sums), overall), where=totals > 0)
    return found


def _unsupported(log: LoggedDecisions, quality: Rewards) -> dict[str, str]:
    """Return why nothing can be said about some models."""
    found = {}
    graded = np.bincount(log.taken[quality.is_known], minlength=len(log.outcomes.models))
    for column, model in enumerate(log.outcomes.models):
        none = log.propensity[:, column] == 0
        if none.any():
            found[model] = f"propensity 0 on {percent(none.mean())} of the decisions"
        elif graded[column] < ENOUGH_ROWS:
            found[model] = f"{graded[column]} graded answers, it takes {ENOUGH_ROWS}"
    return found


def _choosing(log: LoggedDecisions, chosen: npt.NDArray[np.intp]) -> LoggedPolicy:
    return LoggedPolicy.choosing(chosen, log.taken, log.propensity_taken, n_models=len(log.outcomes.models))


def _value(of: _Parts, quality: Rewards, cost: Rewards, log: LoggedDecisions) -> PolicyValue:
    sessions = log.outcomes.conversation_keys
    by_quality, by_cost = Chances.of_quality(log.propensity, quality), Chances.of_cost(log.propensity, cost)
    least = dr_value(of.policy, cost, sessions, by_cost).half_width
    return PolicyValue(
        dr_value(of.policy, quality, sessions, by_quality),
        _at_least(mean_with_interval(of.cost_usd, sessions), least),
    )


def _difference(routed: _Parts, single: _Parts, quality: Rewards, cost: Rewards, log: LoggedDecisions) -> Difference:
    sessions = log.outcomes.conversation_keys
    by_quality, by_cost = Chances.of_quality(log.propensity, quality), Chances.of_cost(log.propensity, cost)
    least = saving_on_log(routed.policy, single.policy, cost, sessions, by_cost).half_width
    least_usd = paired_parts(single.policy, routed.policy, cost, by_cost).mean(sessions).half_width
    return Difference(
        quality=paired_parts(routed.policy, single.policy, quality, by_quality).mean(sessions),
        saving=_at_least(saving_with_interval(routed.cost_usd, single.cost_usd, sessions), least),
        n_prompts=len(log),
        n_independent=len(set(sessions)),
        saved_usd=_at_least(mean_with_interval(single.cost_usd - routed.cost_usd, sessions), least_usd),
    )


def _at_least(estimate: Estimate, half_width: float) -> Estimate:
    """Widen an interval around its value; caches and fees move the value, and not what is foreseen."""
    if not np.isfinite(estimate.value):  # the reference is free
        return estimate
    half = max(estimate.half_width, half_width)
    return Estimate(estimate.value, estimate.value - half, estimate.value + half)


def _verdict(against: Mapping[str, Difference], best: str, *, requests_a_decision: float, margin: float) -> Verdict:
    """Return whether routing pays, and say plainly where it does not."""
    verdict = routing_verdict(against, best, margin=margin)
    if verdict.finding is Finding.UNCLEAR:
        n_more = None if verdict.n_more is None else verdict.n_more * requests_a_decision
        return cannot_tell(
            verdict, n_more, f"routing {describe(against[verdict.reference])} against {verdict.reference}"
        )
    if verdict.finding not in (Finding.TIE, Finding.WORSE):
        return verdict
    difference = against[verdict.reference]
    costs = "costs less" if difference.saving.value < 0 else "costs as much"
    said = f"route nothing: {verdict.reference} alone is as good and {costs}"
    return replace(verdict, sentence=f"{said} (the router {describe(difference)})")
