"""Rules that choose a model from probabilities of success and expected costs.

All rules are pure functions of arrays of shape (n_prompts, n_models). Ties go to the cheaper model, then to the earlier
one, so that the inputs alone determine the decision.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from router_model.certificate import LIKELIEST_USD, Certificate
from router_model.prediction_table import PredictionTable

FloatArray = npt.NDArray[np.floating]
BoolArray = npt.NDArray[np.bool_]
IndexArray = npt.NDArray[np.intp]


def rank_by_threshold(
    p_success: FloatArray, cost_usd: FloatArray, eligible: BoolArray, *, threshold: float
) -> IndexArray:
    """Rank models: likely enough ones from the cheapest up, then the others from the likeliest down.

    Parameters
    ----------
    p_success, cost_usd, eligible : shape (n_prompts, n_models)
    threshold : float
        A model is likely enough when its ``p_success >= threshold``.

    Returns
    -------
    array of indices, shape (n_prompts, n_models)
        Best first; ineligible models come last.

    Examples
    --------
    >>> rank_by_threshold(np.array([[0.95, 0.91, 0.4]]), np.array([[3.0, 1.0, 0.1]]),
    ...                   np.ones((1, 3), bool), threshold=0.9).tolist()
    [[1, 0, 2]]
    """
    likely = p_success >= threshold
    first = np.where(likely, cost_usd, -p_success)
    group = np.where(eligible, np.where(likely, 0, 1), 2)
    return np.asarray(np.lexsort((cost_usd, first, group), axis=-1))


def rank_by_value(
    p_success: FloatArray, cost_usd: FloatArray, eligible: BoolArray, *, success_value_usd: float
) -> IndexArray:
    """Rank models by expected net value, ``p_success * success_value_usd - cost_usd``.

    This is the sweep along a cost-quality frontier: the more a success is worth, the dearer the models it may
    take. `success_value_usd` is 1/λ of ``p - λ * cost``.

    Examples
    --------
    A success worth 10 cents pays for a 2 cent call that adds 30 points, not for one that adds 10:

    >>> rank_by_value(np.array([[0.6, 0.9], [0.6, 0.7]]), np.array([[0.0, 0.02], [0.0, 0.02]]),
    ...               np.ones((2, 2), bool), success_value_usd=0.1)[:, 0].tolist()
    [1, 0]
    """
    net = p_success * success_value_usd - cost_usd
    return np.asarray(np.lexsort((cost_usd, -net, ~eligible), axis=-1))


def best_by_value(
    p_success: FloatArray, cost_usd: FloatArray, eligible: BoolArray, *, success_value_usd: float
) -> IndexArray:
    """Return the first choice of `rank_by_value`, shape (n_prompts,), without sorting the rest.

    For sweeps, which need nothing else: a maximum a row, and the sort only where it is tied or nothing is eligible.

    Examples
    --------
    >>> best_by_value(np.array([[0.6, 0.9], [0.6, 0.6]]), np.array([[0.0, 0.02], [0.2, 0.2]]),
    ...               np.ones((2, 2), bool), success_value_usd=0.1).tolist()
    [1, 0]
    """
    net = p_success * success_value_usd
    net -= cost_usd
    if not eligible.all():
        net[~eligible] = -np.inf
    first = net.argmax(axis=1)
    top = np.take_along_axis(net, first[:, None], axis=1)
    unclear = np.flatnonzero((np.count_nonzero(net == top, axis=1) != 1) | ~np.isfinite(top[:, 0]))
    if len(unclear):
        p, cost, allowed = p_success[unclear], cost_usd[unclear], eligible[unclear]
        first[unclear] = rank_by_value(p, cost, allowed, success_value_usd=success_value_usd)[:, 0]
    return np.asarray(first)


def rank_by_budget(
    p_success: FloatArray,
    cost_usd: FloatArray,
    eligible: BoolArray,
    *,
    success_value_usd: float,
    allowance_usd: float,
) -> IndexArray:
    """Rank as `rank_by_value` the models that cost at most `allowance_usd`, then the others from the cheapest up.

    Where no model fits, the cheapest is first: a request is answered, and paid back later.

    Examples
    --------
    The last model is worth its price, but only the first two fit 3 cents:

    >>> rank_by_budget(np.array([[0.5, 0.7, 0.9, 0.9]]), np.array([[0.01, 0.02, 0.06, 0.05]]),
    ...                np.ones((1, 4), bool), success_value_usd=1.0, allowance_usd=0.03).tolist()
    [[1, 0, 3, 2]]
    """
    fits = cost_usd <= allowance_usd
    first = np.where(fits, cost_usd - p_success * success_value_usd, cost_usd)
    return np.asarray(np.lexsort((cost_usd, first, ~fits, ~eligible), axis=-1))


def put_first(ranked: IndexArray, rows: IndexArray, column: int) -> IndexArray:
    """Return a ranking in which a model comes first in some rows; the others keep their order.

    Examples
    --------
    >>> put_first(np.array([[1, 0, 2], [1, 0, 2]]), np.array([1]), 2).tolist()
    [[1, 0, 2], [2, 1, 0]]
    """
    if not len(rows):  # most decisions: spares them the copy
        return ranked
    moved = ranked[rows]
    others = moved[moved != column].reshape(len(rows), moved.shape[1] - 1)
    changed = ranked.copy()
    changed[rows] = np.column_stack([np.full(len(rows), column, dtype=ranked.dtype), others])
    return changed


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """How a router decides when a request does not say.

    Attributes
    ----------
    quality_bar : float
        The quality at which an answer succeeds.
    quality_value_usd : float
        The model with the highest ``expected quality * quality_value_usd - expected cost`` is chosen.
    always_model : id or None
        If set, this model is always chosen: it is the best single model, and no value was shown to be as good. The
        value then only ranks the others.
    """

    quality_bar: float
    quality_value_usd: float
    always_model: str | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """The rule that a goal is reached by (`router_model.router.Router.rule`).

    Attributes
    ----------
    threshold, success_value_usd, quality_value_usd : float or None
        Exactly one is set, and names the rule: `rank_by_threshold`, or `rank_by_value` of success or of expected
        quality.
    certificate : Certificate or None
        Where the rule comes from. If it certifies nothing, its safest model is put before all others.
    always_model : id or None
        Put before all others; see `OperatingPoint`.
    """

    threshold: float | None
    success_value_usd: float | None
    certificate: Certificate | None = None
    quality_value_usd: float | None = None
    always_model: str | None = None

    @classmethod
    def of_target(cls, target_success: float, certificate: Certificate | None) -> "Rule":
        """Return the rule of a target: that of its certificate where there is one, else a threshold."""
        if certificate is None:
            return cls(target_success, None)
        value = LIKELIEST_USD if certificate.success_value_usd is None else certificate.success_value_usd
        if certificate.measure == "quality":
            return cls(None, None, certificate, quality_value_usd=value)
        return cls(None, value, certificate)

    @property
    def safest_model(self) -> str | None:
        """The model that is to be called whatever the predictions, as the target could not be certified."""
        return None if self.certificate is None or self.certificate.certified else self.certificate.safest_model

    @property
    def first_model(self) -> str | None:
        """The model that is to be called wherever it is a candidate, whatever the predictions."""
        return self.always_model or self.safest_model

    def rank(self, table: PredictionTable, eligible: BoolArray) -> IndexArray:
        """Rank the models of every prompt, best first, shape (n_prompts, n_models)."""
        ranked = self._rank(table, eligible)
        if self.first_model is None or self.first_model not in table.models:
            return ranked
        column = table.models.index(self.first_model)
        return put_first(ranked, np.flatnonzero(eligible[:, column]), column)

    def _rank(self, table: PredictionTable, eligible: BoolArray) -> IndexArray:
        """Rank by the predictions alone, cautiously where a model's level is uncertain."""
        if table.level_error is not None:
            # A certificate was made without announced models. They come last, so that what it promises holds.
            eligible = eligible & ~table.announced if self.certificate is not None else eligible
            table = table.cautious()
        p, cost = table.p_success, table.expected_cost_usd
        if self.quality_value_usd is not None:
            return rank_by_value(table.mean_quality, cost, eligible, success_value_usd=self.quality_value_usd)
        if self.success_value_usd is not None:
            return rank_by_value(p, cost, eligible, success_value_usd=self.success_value_usd)
        return rank_by_threshold(p, cost, eligible, threshold=self.threshold or 0.0)

    def in_words(self) -> str:
        """Say the rule."""
        if self.always_model is not None:
            return f"always {self.always_model}, as no other rule was shown to be as good"
        if self.safest_model is not None:
            return f"always {self.safest_model}, as the target is not certified"
        certified = f", certified for {self.certificate.promise}" if self.certificate else ""
        if self.quality_value_usd is not None:
            return f"highest expected quality x {self.quality_value_usd:.3g} USD - expected cost{certified}"
        if self.success_value_usd is not None:
            return f"highest P(success) x {self.success_value_usd:.3g} USD - expected cost{certified}"
        return f"cheapest with P(success) >= {self.threshold:g}"
