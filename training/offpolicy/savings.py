"""The savings ledger: what a log's calls cost, and what always calling one model would have cost and achieved.

Each single model is a policy, and is estimated as any other one (`offpolicy.estimates`), paired with the policy that
wrote the log, as it ran: with its exploration, which was paid for. A model that the log could not have chosen on some
decision cannot be told, and is named.

Predictions are those of a router that did not learn from the rows; or, without one, each model's mean over the other
half of the sessions, so that no row corrects a prediction that it was part of.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from router_model.catalog import Catalog
from router_model.errors import SupportError
from router_model.router import Router
from router_model.training.measuring.design_effect import key_numbers
from router_model.training.measuring.verdict import MARGIN, Difference, Finding, Verdict, describe, routing_verdict
from router_model.training.offpolicy.estimates import (
    LoggedPolicy,
    Rewards,
    dr_parts,
    mean_with_interval,
    saving_with_interval,
)
from router_model.training.offpolicy.evaluate_on_log import (
    PolicyValue,
    as_logged,
    cannot_tell,
    rewards_of,
    unseen_by,
    view_of,
    with_models,
)
from router_model.training.offpolicy.logged import LoggedDecisions, known_costs, nothing_known
from router_model.training.table.outcomes import Outcomes

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
    routed : PolicyValue
        The policy that wrote the log, as it ran.
    singles : model -> its PolicyValue, best first
    against : model -> the log's policy minus this model
    unknown : model -> why nothing can be said about it
    best : the best single model
    verdict : Verdict
    """

    n_logged: int
    n_decisions: int
    left_out: Mapping[str, int]
    spent_usd: float
    n_without_cost: int
    routed: PolicyValue
    singles: Mapping[str, PolicyValue]
    against: Mapping[str, Difference]
    unknown: Mapping[str, str]
    best: str
    verdict: Verdict

    def as_dict(self) -> dict[str, Any]:
        """Return the ledger as plain JSON types."""
        names = ("n_logged", "n_decisions", "left_out", "spent_usd", "n_without_cost", "unknown", "best")
        return {
            **{name: getattr(self, name) for name in names},
            "routed": self.routed.as_dict(),
            "singles": {
                model: {**value.as_dict(), "routed_minus_single": self.against[model].as_dict()}
                for model, value in self.singles.items()
            },
            "verdict": self.verdict.as_dict(),
        }


def savings(
    log: LoggedDecisions, *, router: Router | None = None, catalog: Catalog | None = None, margin: float = MARGIN
) -> Ledger:
    """Return the ledger of a log.

    Parameters
    ----------
    log : LoggedDecisions
    router : for predictions, which narrow the intervals; prompts that it was trained on are left out of the estimates
    catalog : prices of calls that were not billed; default: the router's
    margin : loss of quality that does not matter for the verdict

    Raises
    ------
    SupportError
        If the log could not have chosen any single model on all decisions.
    TableError
        If nothing is left, graded or billed.
    """
    cards = [each for each in (catalog, None if router is None else router.catalog) if each is not None]
    spent = np.concatenate([_costs(log, cards), _answered(known_costs(log.undescribed, cards), log.undescribed)])
    n_logged = log.n_logged
    if router is not None:
        log = unseen_by(log, [router])
        log = with_models(log, tuple(dict.fromkeys((*log.outcomes.models, *router.models))))
        rewards = rewards_of(log, [view_of(router, log, log.outcomes.models)], [router])
    else:
        rewards = _by_means(log, _costs(log, cards))
    unknown = _unsupported(log, rewards[0])
    known = [model for model in log.outcomes.models if model not in unknown]
    if not known:
        raise SupportError(
            f"no model could have answered each of {len(log):,} decisions: "
            + "; ".join(f"{model}: {why}" for model, why in unknown.items())
            + ". Explore ('serve --explore-share'), with a wide '--explore-max-cost-ratio'"
        )
    routed = as_logged(log)
    singles = {model: _always(log, log.outcomes.models.index(model)) for model in known}
    values = {model: _value(policy, rewards, log) for model, policy in singles.items()}
    best = max(known, key=lambda model: values[model].quality.low)
    against = {model: _difference(routed, policy, rewards, log) for model, policy in singles.items()}
    return Ledger(
        n_logged=n_logged,
        n_decisions=len(log),
        left_out=dict(log.left_out),
        spent_usd=float(np.nansum(spent)),
        n_without_cost=int(np.isnan(spent).sum()),
        routed=_value(routed, rewards, log),
        singles={model: values[model] for model in sorted(known, key=lambda m: -values[m].quality.value)},
        against=against,
        unknown=unknown,
        best=best,
        verdict=_verdict(against, best, requests_a_decision=n_logged / len(log), margin=margin),
    )


def _costs(log: LoggedDecisions, catalogs: Sequence[Catalog]) -> Float64Array:
    return np.asarray(known_costs(log.outcomes, catalogs)[np.arange(len(log)), log.taken])


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
            found[model] = f"propensity 0 on {none.mean():.1%} of the decisions"
        elif graded[column] < ENOUGH_ROWS:
            found[model] = f"{graded[column]} graded answers, it takes {ENOUGH_ROWS}"
    return found


def _always(log: LoggedDecisions, column: int) -> LoggedPolicy:
    chosen = np.full(len(log), column)
    return LoggedPolicy.choosing(chosen, log.taken, log.propensity_taken, n_models=len(log.outcomes.models))


def _value(policy: LoggedPolicy, rewards: Sequence[Rewards], log: LoggedDecisions) -> PolicyValue:
    sessions = log.outcomes.conversation_keys
    quality, cost = (mean_with_interval(dr_parts(policy, each), sessions) for each in rewards)
    return PolicyValue(quality, cost)


def _difference(
    routed: LoggedPolicy, single: LoggedPolicy, rewards: Sequence[Rewards], log: LoggedDecisions
) -> Difference:
    sessions = log.outcomes.conversation_keys
    (mine, theirs), (cost, reference) = ((dr_parts(routed, each), dr_parts(single, each)) for each in rewards)
    return Difference(
        quality=mean_with_interval(mine - theirs, sessions),
        saving=saving_with_interval(cost, reference, sessions),
        n_prompts=len(log),
        n_independent=len(set(sessions)),
    )


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
    costs = "costs less" if against[verdict.reference].saving.value < 0 else "costs as much"
    said = f"route nothing: {verdict.reference} alone is as good and {costs}"
    return replace(verdict, sentence=f"{said} ({verdict.sentence})")
