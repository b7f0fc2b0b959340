"""Show a decision: the plan's candidates with what is expected of them, and why the first one is first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from router_model.decision import Decision, Exclusion, Reason
from router_model.plan import PlanStep
from router_model.router import Router
from router_model.wording import usd

MOST_SHOWN: Final = 12
"""Candidates, and excluded models, that a plan shows; a router may have 400."""
_REASONS: Final[Mapping[Reason, str]] = {
    Reason.CHEAPEST_ABOVE_BAR: "the cheapest model that is likely enough to succeed",
    Reason.NONE_ABOVE_BAR: "no model is likely enough to succeed; this one is the likeliest",
    Reason.BEST_TRADEOFF: "the highest expected value minus cost",
    Reason.OUT_OF_DISTRIBUTION: "the prompt is unlike the logged ones, or far longer, so overall records decide",
    Reason.SAFEST_MODEL: "the target could not be certified; this model succeeded most often",
    Reason.BEST_SINGLE_MODEL: "no rule was shown to be as good as this model alone",
    Reason.BEST_UNDER_BUDGET: "the highest expected value that the budget allows",
    Reason.STARTER: "a starter decides: nobody has graded these models yet",
    Reason.ONLY_CANDIDATE: "the only model that is left",
}


@dataclass(frozen=True, slots=True)
class PlanRow:
    """One candidate.

    Attributes
    ----------
    step : PlanStep
    provider : str or None
    """

    step: PlanStep
    provider: str | None

    @property
    def is_announced(self) -> bool:
        """Whether nobody graded it, so that its probability is a guess from published scores."""
        return self.step.announced


@dataclass(frozen=True, slots=True)
class PlanView:
    """What a router would do with a prompt.

    Attributes
    ----------
    side : ``champion``, ``challenger`` or ``former``
    artifact : first digits of the router's content hash
    error : why there is no decision; the rest is empty then
    model, reason, rule, promise : str
        The chosen model, and in words why it was chosen, by which rule, and what is promised ('' if nothing).
    is_unfamiliar : whether the router abstained, as the prompt is unlike all that it learned from, or far longer
    quality_bar : float
    rows, n_more : the first candidates, and how many there are beside
    excluded, n_more_excluded : likewise of the models that constraints ruled out
    """

    side: str
    artifact: str
    error: str = ""
    model: str = ""
    reason: str = ""
    rule: str = ""
    promise: str = ""
    is_unfamiliar: bool = False
    quality_bar: float = 0.0
    rows: Sequence[PlanRow] = ()
    n_more: int = 0
    excluded: Sequence[Exclusion] = ()
    n_more_excluded: int = 0


def plan_view(side: str, router: Router, decision: Decision) -> PlanView:
    """Return what is shown of a decision."""
    shown, certificate = decision.plan[:MOST_SHOWN], decision.certificate
    return PlanView(
        side=side,
        artifact=short_hash(router),
        model=decision.model,
        reason=_REASONS[decision.reason],
        rule=_rule(decision),
        promise="" if certificate is None else certificate.in_words(),
        is_unfamiliar=decision.trust == 0,
        quality_bar=decision.quality_bar,
        rows=[PlanRow(step, router.catalog[step.model].provider) for step in shown],
        n_more=len(decision.plan) - len(shown),
        excluded=decision.excluded[:MOST_SHOWN],
        n_more_excluded=max(len(decision.excluded) - MOST_SHOWN, 0),
    )


def short_hash(router: Router) -> str:
    """Return the first digits of a router's content hash, by which a folder of published routers names it."""
    return router.artifact.content_hash.partition(":")[2][:12]


def _rule(decision: Decision) -> str:
    """Say in words what the decision weighed."""
    if decision.threshold is not None:
        return f"the cheapest model with a probability of at least {decision.threshold:.2f}"
    if decision.success_value_usd is not None:
        return f"P(success) x {usd(decision.success_value_usd)} - expected cost"
    if decision.quality_value_usd is not None:
        return f"expected quality x {usd(decision.quality_value_usd)} - expected cost"
    return "the router's own rule"
