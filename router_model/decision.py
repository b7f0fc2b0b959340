"""The answer of a router: the ranked plan of models, the excluded models, and the reasons."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from enum import StrEnum
from math import isnan
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from router_model.certificate import Certificate
from router_model.explanation_records import Explanation
from router_model.features.featuriser import PromptFeatures
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
    """The prompt is unlike the logged ones; the model is the safe model, or the best tradeoff by overall records."""
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
class PlanStep:
    """One candidate of a plan.

    Attributes
    ----------
    model : str
    p_success : float
        Calibrated probability that the quality of its answer meets the bar.
    expected_cost_usd : float
    expected_output_tokens : float
    p_interval : lower and upper end, or None
        With probability 0.9, the model's success rate on prompts of this kind lies in it
        (`router_model.prediction.uncertainty`).
    output_token_quantiles : 10 %, 50 % and 90 % quantile, or None
    expected_latency_s : float or None
        None if the training table had no latencies.
    expected_quality : float or None
        Expected quality of the answer; if outcomes are right or wrong, the probability of success.
    level_error : float or None
        Of an announced model, which nobody graded: the standard error of its level, in log odds. None of others.
    caution : float
        Log odds that decisions take off its level; 0 of graded models.
    """

    model: str
    p_success: float
    expected_cost_usd: float
    expected_output_tokens: float
    p_interval: tuple[float, float] | None = None
    output_token_quantiles: tuple[float, float, float] | None = None
    expected_latency_s: float | None = None
    expected_quality: float | None = None
    level_error: float | None = None
    caution: float = 0.0

    @property
    def announced(self) -> bool:
        """Whether nobody graded the model: its level is that of published scores, a sibling or an accuracy."""
        return self.level_error is not None

    @property
    def cautious_p_success(self) -> float:
        """What decisions weigh: the probability of success, and of an announced model at its level's lower end."""
        return self._cautious(self.p_success)

    @property
    def cautious_quality(self) -> float:
        """What decisions weigh: the expected quality, and of an announced model at its level's lower end."""
        return self._cautious(self.p_success if self.expected_quality is None else self.expected_quality)

    def _cautious(self, p: float) -> float:
        return float(lowered(np.array(p), np.array(self.caution))) if self.caution else p


def lowered(p: npt.NDArray[np.float64], log_odds: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return probabilities with some log odds taken off.

    Parameters
    ----------
    p : shape (..., n_models)
    log_odds : shape (n_models,)

    Examples
    --------
    Even odds, less 0.82 log odds:

    >>> round(float(lowered(np.array(0.5), np.array(0.82))), 3)
    0.306
    """
    odds = np.exp(-log_odds)
    return np.asarray(p * odds / (1 - p + p * odds), dtype=np.float64)


# A frozen dataclass sets each field by a Python call. For 400 candidates that takes 0.9 ms; this way takes a third.
_FILL_FIELDS = tuple(PlanStep.__dict__[each.name].__set__ for each in fields(PlanStep))


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
    plan : candidates, best first; if a call fails, call the next one
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
        Number of our word pieces in the whole prompt.
    features : PromptFeatures or None
        Of this prompt; only if they were asked for.
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
    trust: float = 1.0
    explanation: Explanation | None = None
    quality_value_usd: float | None = None
    n_input_tokens: float = 0.0
    features: PromptFeatures | None = field(default=None, repr=False, compare=False)

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
        return {
            **values,
            "plan": tuple(map(_values, self.plan)),
            "excluded": tuple(map(_values, self.excluded)),
            "certificate": self.certificate and self.certificate.as_dict(),
            "explanation": self.explanation and asdict(self.explanation),
        }


def _values(record: Decision | PlanStep | Exclusion) -> dict[str, Any]:
    """Return the fields of a record as they are, in their order."""
    return {name: getattr(record, name) for name in record.__dataclass_fields__}


@dataclass(frozen=True, slots=True, repr=False)
class PredictionTable(Summarised):
    """Predictions for n prompts x m models.

    Attributes
    ----------
    models : m ids
    p_success : float64 array, shape (n, m)
        Calibrated P(quality >= bar).
    expected_cost_usd : float64 array, shape (n, m)
        Expected cost of one call, in USD.
    expected_output_tokens : float64 array, shape (n, m)
    familiarity : float64 array, shape (n,)
        Cosine similarity of the nearest logged prompt.
    quality_bar : float
    trust : float64 array, shape (n,), or None
        How much the predicted differences between models on this prompt count, 0 to 1. It is exactly 0 if the router
        abstains and relies on the models' overall records.
    p_interval : float64 array, shape (n, m, 2), or None
        See `PlanStep`.
    output_token_quantiles : float64 array, shape (n, m, 3), or None
    expected_latency_s : float64 array, shape (n, m), or None
    expected_quality : float64 array, shape (n, m), or None
    level_error : float64 array, shape (m,), or None
        Standard errors of announced models' levels, in log odds; NaN of graded models. None: all are graded.
    caution : float64 array, shape (m,), or None
        Log odds that decisions take off announced models' levels; 0 of graded models. None: all are graded.
    """

    models: tuple[str, ...]
    p_success: npt.NDArray[np.float64]
    expected_cost_usd: npt.NDArray[np.float64]
    expected_output_tokens: npt.NDArray[np.float64]
    familiarity: npt.NDArray[np.float64]
    quality_bar: float
    trust: npt.NDArray[np.float64] | None = None
    p_interval: npt.NDArray[np.float64] | None = None
    output_token_quantiles: npt.NDArray[np.float64] | None = None
    expected_latency_s: npt.NDArray[np.float64] | None = None
    expected_quality: npt.NDArray[np.float64] | None = None
    level_error: npt.NDArray[np.float64] | None = None
    caution: npt.NDArray[np.float64] | None = None

    def summary(self) -> Summary:
        """Return the means of every model, the likeliest first."""
        p, cost, tokens = (
            a.mean(axis=0) for a in (self.p_success, self.expected_cost_usd, self.expected_output_tokens)
        )
        rows = [(self.models[at], f"{p[at]:.3f}", usd(cost[at]), f"{tokens[at]:.0f}") for at in np.argsort(-p)]
        return Summary(
            f"PredictionTable of {len(self.p_success):,} prompts x {len(self.models):,} models",
            ("mean of", f"P(quality >= {self.quality_bar:g})", "expected cost", "output tokens"),
            rows,
        )

    def steps(self, row: int, columns: Iterable[int]) -> tuple[PlanStep, ...]:
        """Return the predictions for some models on one prompt, in the order of `columns`."""
        # in the order of PlanStep's fields; converting whole arrays to Python numbers takes a tenth of the time
        known = (
            self.models,
            self.p_success[row].tolist(),
            self.expected_cost_usd[row].tolist(),
            self.expected_output_tokens[row].tolist(),
            self._tuples(self.p_interval, row),
            self._tuples(self.output_token_quantiles, row),
            self._numbers(self.expected_latency_s, row),
            self._numbers(self.expected_quality, row),
            self._level_errors(),
            [0.0] * len(self.models) if self.caution is None else self.caution.tolist(),
        )
        chosen = list(columns)
        steps = tuple([PlanStep.__new__(PlanStep) for _ in chosen])
        for fill, values in zip(_FILL_FIELDS, known, strict=True):
            deque(map(fill, steps, [values[column] for column in chosen]), maxlen=0)
        return steps

    def _numbers(self, array: npt.NDArray[np.float64] | None, row: int) -> list[Any]:
        return [None] * len(self.models) if array is None else array[row].tolist()

    def _level_errors(self) -> list[Any]:
        if self.level_error is None:
            return [None] * len(self.models)
        return [None if isnan(error) else error for error in self.level_error.tolist()]

    def _tuples(self, array: npt.NDArray[np.float64] | None, row: int) -> list[Any]:
        return [None] * len(self.models) if array is None else list(map(tuple, array[row].tolist()))

    @property
    def mean_quality(self) -> npt.NDArray[np.float64]:
        """The expected quality if it is known, else the probability of success, shape (n, m)."""
        return self.p_success if self.expected_quality is None else self.expected_quality

    @property
    def announced(self) -> npt.NDArray[np.bool_]:
        """Which models nobody graded, shape (m,)."""
        return np.zeros(len(self.models), dtype=bool) if self.level_error is None else ~np.isnan(self.level_error)

    def cautious(self) -> "PredictionTable":
        """Return the predictions that rules weigh: announced models at the lower ends of their levels.

        The best of many estimates is too high. Weighed like this, no announced model is chosen for its luck: with 95 %,
        none of them has a level below that at which it is weighed.
        """
        if self.caution is None:
            return self
        by = self.caution
        quality = None if self.expected_quality is None else lowered(self.expected_quality, by)
        return replace(
            self, p_success=lowered(self.p_success, by), expected_quality=quality, level_error=None, caution=None
        )

    @property
    def abstained(self) -> npt.NDArray[np.bool_]:
        """Which prompts are too unlike the logged ones to tell models apart, shape (n,)."""
        return np.zeros(len(self.p_success), dtype=bool) if self.trust is None else self.trust == 0

    def abstains(self, row: int) -> bool:
        """Whether one prompt is too unlike the logged ones to tell models apart."""
        return self.trust is not None and bool(self.trust[row] == 0)

    @classmethod
    def concatenate(cls, tables: "Sequence[PredictionTable]") -> "PredictionTable":
        """Join tables of the same models and bar."""
        first = tables[0]
        joined: dict[str, Any] = {
            name: None if getattr(first, name) is None else np.concatenate([getattr(table, name) for table in tables])
            for name in cls.__dataclass_fields__
            if name not in ("models", "quality_bar", "level_error", "caution")
        }
        return replace(first, **joined)
