"""Fit the blend of predictors, the correction of its log odds, and what predicts announced models, on held-out rows."""

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit

from router_model.announced.reference import Reference, log_odds_of
from router_model.prediction.calibration import P_FLOOR, Blend, Calibration, split_logit

FloatArray = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]

_EM_ITERATIONS = 200
_NEWTON_STEPS = 8
_PRIOR_ROWS = 50
_MIN_SLOPE = 0.05
ABSTAINED_SHARE = 0.01
"""Share of familiar prompts on which the router may abstain: the price of abstaining on unfamiliar ones."""

ABSTAIN_BELOW = 0.5
"""The router abstains only if less than this share of the usual trust is left."""

_FULL_TRUST = np.array([np.inf], dtype=np.float32)
_PRIOR_VARIANCE = 0.05  # prior standard deviation of models' intercepts, on the log odds

_NEGLIGIBLE = 1e-3  # smaller weights are set to 0
REFERENCE_PROMPTS = 512
"""Prompts of a reference: evenly spread over difficulty, so that their mean is that of all to about half a point."""
_REFERENCE_SLOPES = np.linspace(0.5, 1.3, 17)
_TRUSTING = 4.0  # log odds of a trust of 0.98, the prior


def fit_blend(
    members: tuple[str, ...], p: FloatArray, success: FloatArray, weight: FloatArray, *, favoured: Collection[str]
) -> Blend:
    """Choose convex weights by likelihood, with a prior that the favoured members are equally good.

    The method is expectation maximisation for a mixture with fixed components: each weight becomes the mean
    responsibility of its member, with `_PRIOR_ROWS` pseudo-rows shared by the favoured members. It starts from equal
    weights, so it is deterministic. The prior matters only for small tables. The other members must earn their weight
    in outcomes: with a share of the prior, they cost small tables AUC (docs/decisions/0025).

    Parameters
    ----------
    members : names
    p : shape (n_rows, n_members), out-of-fold probabilities of success
    success, weight : shape (n_rows,)
    favoured : one or more of the members
    """
    chosen = np.array([member in favoured for member in members])
    prior = _PRIOR_ROWS * chosen / chosen.sum()
    inside = np.clip(p.astype(np.float64), P_FLOOR, 1 - P_FLOOR)
    likelihood = np.where(success[:, None] > 0, inside, 1 - inside)
    total = float(weight.sum())
    share = np.full(len(members), 1 / len(members))
    for _ in range(_EM_ITERATIONS):
        mixed = likelihood @ share
        responsibility = share * ((weight / mixed) @ likelihood)
        share = (responsibility + prior) / (total + _PRIOR_ROWS)
    share[share < _NEGLIGIBLE] = 0
    return Blend(members, (share / share.sum()).astype(np.float32))


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Held-out predictions of prompts, together with their outcomes.

    Attributes
    ----------
    p, record : float32 arrays, shape (n, n_models, n_bars)
        Blended probability and the models' record.
    familiarity : float32 array, shape (n, n_familiarity)
    success, weight : float32 arrays, shape (n, n_models, n_bars)
        The weight is 0 if the outcome is unknown.
    """

    p: FloatArray
    record: FloatArray
    familiarity: FloatArray
    success: FloatArray
    weight: FloatArray

    def take(self, rows: npt.NDArray[np.intp]) -> "HeldOut":
        """Return some of the prompts."""
        parts = (self.p, self.record, self.familiarity, self.success, self.weight)
        return HeldOut(*(part[rows] for part in parts))


def fit_calibration(alike: HeldOut, unlike: HeldOut) -> Calibration:
    """Fit the slopes on familiar prompts, then the trust on familiar and unfamiliar ones.

    A penalty worth one pseudo-observation pulls towards no correction. It matters if there are few prompts, and for
    models that never fail.

    Parameters
    ----------
    alike : predicted from other prompts of the same tasks
    unlike : predicted from other tasks alone
    """
    slopes = np.stack([_fit_slopes(alike, bar) for bar in range(alike.p.shape[2])], axis=1).astype(np.float32)
    levels = np.stack([_fit_model_intercepts(alike, slopes, bar) for bar in range(alike.p.shape[2])], axis=1)
    trusted = Calibration(slopes, levels.astype(np.float32), _FULL_TRUST)
    trusting = replace(trusted, trust_weights=_fit_trust(trusted, alike, unlike))
    trust = trusting.trust(alike.familiarity)
    floor = min(np.quantile(trust, ABSTAINED_SHARE), ABSTAIN_BELOW * np.median(trust))
    return replace(trusting, trust_floor=float(floor))


def _fit_slopes(held_out: HeldOut, bar: int) -> Float64Array:
    """Return the slopes of 1, record, difficulty and edge at one bar and full trust."""
    known = held_out.weight[:, :, bar] > 0
    parts = split_logit(held_out.p, held_out.record)
    record, difficulty, edge = (np.broadcast_to(part, held_out.p.shape)[:, :, bar][known] for part in parts)
    columns = np.stack([np.ones(len(record)), record, difficulty, edge]).astype(np.float64)
    success, weight = (part[:, :, bar][known].astype(np.float64) for part in (held_out.success, held_out.weight))
    start = np.array([0.0, 1.0, 1.0, 1.0])

    def loss(parameters: Float64Array) -> tuple[float, Float64Array]:
        score = parameters @ columns
        value = weight @ (np.logaddexp(0, score) - success * score)
        error = weight * (1 / (1 + np.exp(-score)) - success)
        return float(value + ((parameters - start) ** 2).sum()), columns @ error + 2 * (parameters - start)

    bounds = [(None, None), *[(_MIN_SLOPE, None)] * 3]
    return np.asarray(minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x)


def _fit_model_intercepts(held_out: HeldOut, slopes: FloatArray, bar: int) -> Float64Array:
    """Return the mean error of each model's log odds at one bar, shape (n_models,), shrunk to 0, by Newton's method."""
    parts = split_logit(held_out.p, held_out.record)
    columns = (1.0, *(np.broadcast_to(part, held_out.p.shape)[:, :, bar].astype(np.float64) for part in parts))
    score = sum(slope * column for slope, column in zip(slopes[:, bar], columns, strict=True))
    success, weight = held_out.success[:, :, bar], held_out.weight[:, :, bar]
    intercept = np.zeros(score.shape[1])
    for _ in range(_NEWTON_STEPS):
        p = 1 / (1 + np.exp(-(score + intercept)))
        gradient = (weight * (success - p)).sum(axis=0) - intercept / _PRIOR_VARIANCE
        intercept += gradient / ((weight * p * (1 - p)).sum(axis=0) + 1 / _PRIOR_VARIANCE)
    return intercept


def _fit_trust(trusted: Calibration, alike: HeldOut, unlike: HeldOut) -> FloatArray:
    """Return the weights of the trust with the greatest likelihood; both kinds of prompts count equally."""
    centre = alike.familiarity.mean(axis=0).astype(np.float64)
    spread = alike.familiarity.std(axis=0).astype(np.float64) + 1e-3
    sides = [_TrustSide.of(trusted, held_out, centre, spread) for held_out in (alike, unlike)]
    start = np.array([_TRUSTING, *np.zeros(len(centre))])

    def loss(parameters: Float64Array) -> tuple[float, Float64Array]:
        found = [side.loss(parameters) for side in sides]
        off = parameters - start
        value = sum(value for value, _ in found) + float(off @ off)
        return value, sum(gradient for _, gradient in found) + 2 * off

    bounds = [(None, _TRUSTING), *[(0.0, None)] * len(centre)]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    weights = found[1:] / spread
    return np.array([found[0] - weights @ centre, *weights], dtype=np.float32)


@dataclass(frozen=True, slots=True)
class _TrustSide:
    """The trust's likelihood on one kind of prompts."""

    standardised: Float64Array
    rest: Float64Array
    edge: Float64Array
    success: FloatArray
    weight: FloatArray

    @classmethod
    def of(cls, trusted: Calibration, held_out: HeldOut, centre: Float64Array, spread: Float64Array) -> "_TrustSide":
        parts = split_logit(held_out.p, held_out.record)
        slopes = trusted.slopes
        rest = slopes[0] + trusted.model_intercept + slopes[1] * parts.record + slopes[2] * parts.difficulty
        n = len(held_out.p)
        return cls(
            standardised=np.column_stack([np.ones(n), (held_out.familiarity - centre) / spread]),
            rest=rest.reshape(n, -1).astype(np.float64),
            edge=(slopes[3] * parts.edge).reshape(n, -1).astype(np.float64),
            success=held_out.success.reshape(n, -1),
            weight=held_out.weight.reshape(n, -1),
        )

    def loss(self, parameters: Float64Array) -> tuple[float, Float64Array]:
        trust = expit(self.standardised @ parameters)
        score = self.rest + trust[:, None] * self.edge
        value = float((self.weight * (np.logaddexp(0, score) - self.success * score)).sum())
        error = self.weight * (expit(score) - self.success)
        per_prompt = (error * self.edge).sum(axis=1) * trust * (1 - trust)
        return value, per_prompt @ self.standardised


def fit_reference(expected_quality: Float64Array, quality: Float64Array) -> Reference:
    """Choose typical prompts, and the slope with which known models predict one that is left out best.

    Parameters
    ----------
    expected_quality : shape (n_prompts, n_models), out of fold
    quality : shape (n_prompts, n_models); NaN where unknown
    """
    log_odds = log_odds_of(expected_quality).astype(np.float32)
    order = np.argsort(log_odds.mean(axis=1), kind="stable")
    n = min(REFERENCE_PROMPTS, len(order))
    middle = ((np.arange(n) + 0.5) * len(order) / n).astype(np.intp)
    chosen = np.sort(order[middle])
    reference = Reference(log_odds[chosen], 1.0)
    if expected_quality.shape[1] < 2:  # noqa: PLR2004 - none is left to predict it
        return reference
    losses = [
        _left_out_loss(Reference(reference.log_odds, float(slope)), log_odds, quality) for slope in _REFERENCE_SLOPES
    ]
    return Reference(reference.log_odds, float(_REFERENCE_SLOPES[int(np.argmin(losses))]))


def _left_out_loss(reference: Reference, log_odds: npt.NDArray[np.float32], quality: Float64Array) -> float:
    """Return the mean log-loss of each model's outcomes, predicted from the others and its own level."""
    losses = []
    for column, level in enumerate(reference.levels):
        known = np.isfinite(quality[:, column])
        if not known.any():
            continue
        weights, shift = reference.without(column).mixture(np.array([level]))
        others = np.delete(log_odds[known], column, axis=1).astype(np.float64)
        p = np.clip(expit(others @ weights + shift)[:, 0], _NEGLIGIBLE, 1 - _NEGLIGIBLE)
        y = quality[known, column]
        losses.append(float(-(y * np.log(p) + (1 - y) * np.log1p(-p)).mean()))
    return float(np.mean(losses))
