"""The answer of a router: the ranked plan of models, the excluded models, and the reasons."""

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from router_model.certificate import Certificate
from router_model.explanation_records import Explanation
from router_model.features.featuriser import PromptFeatures
from router_model.plan import Plan, PlanStep
from router_model.summary import Summarised, Summary
from router_model.wording import usd

if TYPE_CHECKING:
    from router_model.charts.drawing import Drawing


class Reason(StrEnum):
    """The reason why the first model of a plan is first."""

    CHEAPEST_ABOVE_BAR = "cheapest_above_bar"
    """The model is the cheapest candidate whose probability of meeting the bar reaches the threshold."""
    NONE_ABOVE_BAR = "none_above_bar"
    """No candidate reaches the threshold; the model is the one most likely to meet the bar."""
    BEST_TRADEOFF = "best_tradeoff"
    """The model has the highest value of its expected quality (or of a success) minus its cost."""
    OUT_OF_DISTRIBUTION = "out_of_distribution"
    """The prompt is unlike the logged ones, or many times as long; the model is the safe model, or the best tradeoff by
    overall records."""
    SAFEST_MODEL = "safest_model"
    """The target could not be certified; the model is the one that succeeded on most calibration prompts."""
    BEST_SINGLE_MODEL = "best_single_model"
    """Training showed no rule to be as good as this model, the best one on the training prompts."""
    BEST_UNDER_BUDGET = "best_under_budget"
    """The model has the highest expected value, at the success value of a budget pacer."""
    STARTER = "starter"
    """The router was made from a catalog alone, without outcomes of these models (`router_model.starter`)."""
    ONLY_CANDIDATE = "only_candidate"
    """The constraints left this candidate only."""


@dataclass(frozen=True, slots=True)
class Exclusion:
    """An excluded model, and the constraint that ruled it out.

    Attributes
    ----------
    model : str
    reason : str
        The constraint's short code, e.g. ``context_window`` (`router_model.screening.constraint_checks.CHECKS` has
        all), or ``no_outcomes`` for a model that was announced and has no graded prompt yet.
    detail : str
        The demand and what the model offers, in words: ``needs 130,412 tokens, has 128,000``.
    """

    model: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True, repr=False)
class Decision(Summarised):
    """A routing decision.

    Attributes
    ----------
    model : str
        The model to call: the first of the plan.
    reason : Reason
    plan : Plan
        Candidates, best first; if a call fails, call the next one. Any sequence of `PlanStep` is taken.
    excluded : models that constraints ruled out
    quality_bar : float
        The quality a success has at least.
    threshold, success_value_usd, quality_value_usd : float or None
        The parameter of the rule that decided (`router_model.policy.Rule`); the others are None. If a target could not
        be certified, the safest model comes first, and the rest is ranked by a value so large that the likeliest lead.
    familiarity : float
        Cosine similarity with the nearest logged prompt; a low value means little evidence.
    artifact : str
        Content hash of the router that decided.
    trust : float
        How much the predicted differences between models on this prompt count, 0 to 1; 0 if the router abstained.
    certificate : Certificate or None
        The promise for requests like this one on average, or (``certified`` is false) why there is no promise. None if
        no certificate covers the decision: none exists for its target and bar, the catalog was replaced, or the
        request's own constraints ruled out a model that the certified rule could have chosen.
    explanation : Explanation or None
        Only if it was asked for.
    n_input_tokens : float
        Word pieces of the router's own tokenizer in the whole prompt, ``n_input_pieces`` in `as_dict`. They are no
        provider's tokens: what a model is expected to count is these times its ``tokens_per_piece`` (of the artifact).
    features : PromptFeatures or None
        Of this prompt; only if they were asked for.
    """

    model: str
    reason: Reason
    plan: Plan
    excluded: tuple[Exclusion, ...]
    quality_bar: float
    threshold: float | None
    success_value_usd: float | None
    familiarity: float
    artifact: str
    certificate: Certificate | None = None
    trust: float = 1.0
    explanation: Explanation | None = None
    quality_value_usd: float | None = None
    n_input_tokens: float = 0.0
    features: PromptFeatures | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if type(self.plan) is not Plan:
            object.__setattr__(self, "plan", Plan.of(self.plan))

    def summary(self) -> Summary:
        """Return the plan, best first."""
        rows = [
            (s.model, f"{s.p_success:.3f}", usd(s.expected_cost_usd), f"{s.expected_output_tokens:.0f}")
            for s in self.plan
        ]
        notes = (
            [f"{len(self.excluded):,} excluded, e.g. {self.excluded[0].model}: {self.excluded[0].detail}"]
            if self.excluded
            else []
        )
        if self.certificate is not None:
            notes.append(self.certificate.summary().head)
        return Summary(
            f"Decision: {self.model} ({self.reason}), familiarity {self.familiarity:.2f}",
            ("plan", f"P(quality >= {self.quality_bar:g})", "expected cost", "output tokens"),
            rows,
            notes,
        )

    def plot(self, *, width: int = 640) -> "Drawing":
        """Draw the plan: probability of success over expected cost; needs the extra ``report``."""
        from router_model.charts import CostPoint, plan  # noqa: PLC0415  (services decide without charts)
        from router_model.charts.drawing import Drawing  # noqa: PLC0415
        from router_model.charts.scatter import PointKind  # noqa: PLC0415

        points = []
        for place, step in enumerate(self.plan):
            low, high = step.p_interval or (None, None)
            kind: PointKind = "candidate" if place else "chosen"
            points.append(
                CostPoint(step.model, step.expected_cost_usd, step.p_success, low, high, kind=kind, needed=not place)
            )
        return Drawing(plan(points, least=self.threshold, width=width))

    def as_dict(self) -> dict[str, Any]:
        """Return the decision as plain JSON types, without features."""
        values = _values(self)
        del values["features"]
        n_pieces = values.pop("n_input_tokens")
        return {
            **values,
            "n_input_pieces": n_pieces,
            "plan": tuple(map(_values, self.plan)),
            "excluded": tuple(map(_values, self.excluded)),
            "certificate": self.certificate and self.certificate.as_dict(),
            "explanation": self.explanation and asdict(self.explanation),
        }


def _values(record: Decision | PlanStep | Exclusion) -> dict[str, Any]:
    """Return the fields of a record as they are, in their order."""
    return {name: getattr(record, name) for name in record.__dataclass_fields__}
