"""What a router answers: a ranked plan, what was left out, and why."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from router_model.certificate import Certificate


class Reason(StrEnum):
    """Why the first model of a plan is first."""

    CHEAPEST_ABOVE_BAR = "cheapest_above_bar"
    """The cheapest candidate whose chance of meeting the bar reaches the threshold."""
    NONE_ABOVE_BAR = "none_above_bar"
    """No candidate reaches the threshold; the one most likely to meet the bar."""
    BEST_TRADEOFF = "best_tradeoff"
    """The highest expected value of a success less its cost."""
    SAFEST_MODEL = "safest_model"
    """The target could not be certified; the model that succeeded on most calibration prompts."""
    BEST_UNDER_BUDGET = "best_under_budget"
    """The highest expected value at the price a budget pacer puts on money."""
    ONLY_CANDIDATE = "only_candidate"
    """Constraints left a single candidate."""


@dataclass(frozen=True, slots=True)
class PlanStep:
    """One candidate of a plan.

    Attributes
    ----------
    model : str
    p_success : float
        Calibrated probability that its quality meets the bar.
    expected_cost_usd : float
    expected_output_tokens : float
    """

    model: str
    p_success: float
    expected_cost_usd: float
    expected_output_tokens: float


@dataclass(frozen=True, slots=True)
class Exclusion:
    """A model that was no candidate, and the constraint that ruled it out.

    Attributes
    ----------
    model : str
    reason : str
        The constraint's short code, e.g. ``context_window`` (`router_model.checks.CHECKS` has all), or
        ``no_outcomes`` of a model that was announced and has no graded prompt yet.
    detail : str
        What was asked and what the model has, for people: ``needs 130,412 tokens, has 128,000``.
    """

    model: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Decision:
    """A routing decision.

    Attributes
    ----------
    model : str
        The model to call: the first of the plan.
    reason : Reason
    plan : candidates, best first; call the next where one fails
    excluded : models that constraints ruled out
    quality_bar : float
        The quality a success has at least.
    threshold, success_value_usd : float or None
        The knob of the rule that decided (`router_model.policy.Rule`); the other is None. After the safest model of
        a target that could not be certified, the plan is ranked by a value so large that the likeliest come first.
    familiarity : float
        Cosine similarity of the nearest logged prompt; low values mean little evidence.
    artifact : str
        Content hash of the router that decided.
    certificate : Certificate or None
        What is promised of requests like this one on average, or (``certified`` is false) why nothing is. None
        where no certificate covers the decision: there is none for its target and bar, the catalog was replaced,
        or the request's own constraints ruled out a model that the certified rule could have chosen.
    """

    model: str
    reason: Reason
    plan: tuple[PlanStep, ...]
    excluded: tuple[Exclusion, ...]
    quality_bar: float
    threshold: float | None
    success_value_usd: float | None
    familiarity: float
    artifact: str
    certificate: Certificate | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the decision as plain JSON types."""
        return {**asdict(self), "certificate": self.certificate and self.certificate.as_dict()}


@dataclass(frozen=True, slots=True)
class PredictionTable:
    """Predictions for n prompts x m models.

    Attributes
    ----------
    models : m ids
    p_success : float64 array, shape (n, m)
        Calibrated P(quality >= bar).
    expected_cost_usd : float64 array, shape (n, m)
        Of one call, in USD.
    expected_output_tokens : float64 array, shape (n, m)
    familiarity : float64 array, shape (n,)
        Cosine similarity of the nearest logged prompt.
    quality_bar : float
    """

    models: tuple[str, ...]
    p_success: npt.NDArray[np.float64]
    expected_cost_usd: npt.NDArray[np.float64]
    expected_output_tokens: npt.NDArray[np.float64]
    familiarity: npt.NDArray[np.float64]
    quality_bar: float
