"""Estimate from a log what other policies would have brought, and the paired difference between two.

Notation: w = pi(a | x) / p is how much more often the evaluated policy would have done what was done, r the reward (a
quality or a cost), q(x, a) a prediction of it by a predictor that did not learn from the row, and q(x, pi) its mean
under the policy.

| name | a row's part of the estimate |
|---|---|
| DR | q(x, pi) + w (r - q(x, a)) (Robins, Rotnitzky & Zhao 1994; Dudik, Langford & Li 2011) |
| IPS | w r (Horvitz & Thompson 1952) |
| SNIPS | mean(w r) / mean(w), linearised (Swaminathan & Joachims 2015) |
| switch-DR | DR with w = 0 above lambda (Wang, Agarwal & Dudik 2017) |
| DRos | DR with lambda w / (w^2 + lambda) (Su, Dimakopoulou, Krishnamurthy & Dudik 2020) |
| sub-Gaussian | DR with w / (1 - lambda + lambda w) (Metelli, Russo & Restelli 2021) |

DR is unbiased if the propensities are right, and what the others are judged by. Weights are never clipped, because this
biases the mean. The last three trade bias for variance, with lambda chosen by SLOPE (`slope`), so their intervals do
not include their bias.

The difference between two policies is estimated row by row: where both do the same, it is exactly 0. Rows of one
session are not independent, so parts are summed within a session before their variance is taken.

Where few rows with large weights decide, the variance that a log shows is usually too small: the rare failure that
would have shown it was not drawn. The predictions foresee it, because the propensities are known
(`PairedParts.foreseen`), and no DR interval of a difference is narrower than that.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import stats

from router_model.sequential.confidence_sequences import gamma_mixture_lower
from router_model.training.measuring.operating_point import clustered_error
from router_model.training.measuring.verdict import Estimate

Float64Array = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]
Shrink = Callable[[Float64Array, float], Float64Array]
Sessions: TypeAlias = Sequence[object] | Indices
"""The name or number of each row's session."""

LEVEL = 0.95
POWER = 0.8
_LIMITS = (np.inf, 300.0, 100.0, 50.0, 20.0, 10.0, 5.0, 2.0)
"""From the least biased to the least variable, as `slope` needs them."""


@dataclass(frozen=True, slots=True)
class LoggedPolicy:
    """A policy, as a log sees it.

    Attributes
    ----------
    probabilities : shape (n, n_models)
        Of each model; each row adds up to 1.
    weight : shape (n,)
        w: the probability of what was done over its propensity.
    """

    probabilities: Float64Array
    weight: Float64Array

    @classmethod
    def choosing(cls, chosen: Indices, taken: Indices, propensity: Float64Array, *, n_models: int) -> "LoggedPolicy":
        """Return a policy that is certain of its choices.

        Parameters
        ----------
        chosen, taken : shape (n,)
            Columns of the models that it chooses, and that answered.
        propensity : shape (n,)
            Of the model that answered.
        """
        return cls(np.eye(n_models)[chosen], np.where(chosen == taken, 1 / propensity, 0.0))


@dataclass(frozen=True, slots=True)
class Rewards:
    """The rewards of a log, of one kind.

    Attributes
    ----------
    value : shape (n,); NaN where nobody told
    predicted : shape (n, n_models)
    taken : shape (n,)
        Columns of the models that answered.
    """

    value: Float64Array
    predicted: Float64Array
    taken: Indices

    @property
    def is_known(self) -> BoolArray:
        """Whether the reward was told, shape (n,)."""
        return ~np.isnan(self.value)

    @property
    def factor(self) -> Float64Array:
        """What a known reward counts for: 1 over the share of its model's rewards that are known; else 0.

        Some models' answers may be graded more often than others'. Within a model, which answers are graded is taken to
        be a matter of chance.
        """
        return np.where(self.is_known, 1 / self.known_share[self.taken], 0.0)

    @property
    def known_share(self) -> Float64Array:
        """Of each model's rewards, the share that is known, shape (n_models,); 1 where none is."""
        n_models = self.predicted.shape[1]
        n_taken = np.bincount(self.taken, minlength=n_models)
        n_known = np.bincount(self.taken[self.is_known], minlength=n_models)
        return np.divide(n_known, n_taken, out=np.ones(n_models), where=n_known > 0)

    @property
    def residual(self) -> Float64Array:
        """Reward less prediction, 0 where it is not known, shape (n,)."""
        return np.where(self.is_known, self.value - self.predicted[np.arange(len(self.taken)), self.taken], 0.0)


def dr_parts(policy: LoggedPolicy, rewards: Rewards) -> Float64Array:
    """Return each row's part of the doubly robust value, shape (n,).

    Examples
    --------
    A challenger always takes the second model, which was taken on the second of two rows, with propensity 1/4. Its
    reward there was 1 where 0.75 was predicted: 0.75 + 4 (1 - 0.75).

    >>> taken, predicted = np.array([0, 1]), np.array([[0.5, 0.6], [0.5, 0.75]])
    >>> policy = LoggedPolicy.choosing(np.array([1, 1]), taken, np.array([0.75, 0.25]), n_models=2)
    >>> dr_parts(policy, Rewards(np.array([0.0, 1.0]), predicted, taken)).tolist()
    [0.6, 1.75]
    """
    return _corrected(policy, rewards, policy.weight)


@dataclass(frozen=True, slots=True)
class PairedParts:
    """Each row's part of the DR difference between two policies, and how much of it is chance.

    Attributes
    ----------
    total : shape (n,)
    direct : shape (n,)
        What the predictions alone say.
    foreseen : shape (n,)
        The variance of the rest, over what could have been drawn; 0 where nothing is foreseen.
    """

    total: Float64Array
    direct: Float64Array
    foreseen: Float64Array

    def mean(self, sessions: Sessions, rows: Indices | slice = slice(None)) -> Estimate:
        """Return the mean over some rows with its 95 % interval, for one look at a time that was fixed before.

        The error is that of `mean_with_interval`, or the foreseen one, if it is larger.

        Parameters
        ----------
        sessions : of these rows
        """
        error, n_sessions = clustered_error(self.total[rows], sessions)
        if np.isfinite(error):
            of_direct, _ = clustered_error(self.direct[rows], sessions)
            foreseen = float(self.foreseen[rows].sum()) / len(sessions) ** 2
            error = max(error, float(np.sqrt(of_direct**2 + foreseen)))
        return _interval(float(self.total[rows].mean()), error, n_sessions)


@dataclass(frozen=True, slots=True)
class Chances:
    """What could have been drawn, and how much rewards vary.

    Attributes
    ----------
    propensity : shape (n, n_models); NaN where it is unknown
    variance : shape (n, n_models)
        Of a reward around its prediction, up to a factor that the known rewards show: see `of_quality` and `of_cost`.
    """

    propensity: Float64Array
    variance: Float64Array

    @classmethod
    def of_quality(cls, propensity: Float64Array, rewards: Rewards) -> "Chances":
        """Return q (1 - q), the largest variance of a reward in [0, 1] with the mean q."""
        return cls(propensity, np.clip(rewards.predicted * (1 - rewards.predicted), 0.0, None))

    @classmethod
    def of_cost(cls, propensity: Float64Array, rewards: Rewards) -> "Chances":
        """Return q^2: costs vary by a factor, so that a dear model's vary more."""
        return cls(propensity, rewards.predicted**2)


def paired_parts(
    policy: LoggedPolicy, reference: LoggedPolicy, rewards: Rewards, chances: Chances | None = None
) -> PairedParts:
    """Return each row's part of the DR difference.

    The part beyond the predictions, ``(pi - pi')(a | x) / p(a) (r - q)``, has the variance ``sum over a of (pi - pi')^2
    / p(a) s^2(x, a)``. Here s^2 is the variance of `chances`, times what the known rewards show: the mean of (r - q)^2
    over that of this variance, on the rows where the two differ. A reward that is known with a share of k counts 1 / k
    times as much. Without `chances`, nothing is foreseen.

    Examples
    --------
    Always the second model against always the first, each drawn with 1/2, both predicted with 0.5. A row's foreseen
    variance is (1 / 0.5 + 1 / 0.5) 0.25, and what is known varies just as much as predicted:

    >>> taken, predicted = np.array([0, 1]), np.full((2, 2), 0.5)
    >>> second, first = (LoggedPolicy.choosing(np.full(2, c), taken, np.full(2, 0.5), n_models=2) for c in (1, 0))
    >>> rewards = Rewards(np.array([0.0, 1.0]), predicted, taken)
    >>> paired_parts(second, first, rewards, Chances.of_quality(np.full((2, 2), 0.5), rewards)).foreseen.tolist()
    [1.0, 1.0]
    """
    step = policy.probabilities - reference.probabilities
    direct = (step * rewards.predicted).sum(axis=1)
    total = dr_parts(policy, rewards) - dr_parts(reference, rewards)
    if chances is None:
        return PairedParts(total, direct, np.zeros(len(total)))
    rows = np.flatnonzero(rewards.is_known & (step != 0).any(axis=1))
    expected = float(chances.variance[rows, rewards.taken[rows]].sum())
    scale = float((rewards.residual[rows] ** 2).sum()) / expected if expected > 0 else 1.0
    possible = chances.propensity * rewards.known_share
    weight = np.divide(step**2, possible, out=np.zeros_like(step), where=possible > 0)
    return PairedParts(total, direct, scale * (weight * chances.variance).sum(axis=1))


def dr_value(policy: LoggedPolicy, rewards: Rewards, sessions: Sessions, chances: Chances) -> Estimate:
    """Return what a policy brings by DR, with an interval that is not narrower than `chances` foresee."""
    nothing = LoggedPolicy(np.zeros_like(policy.probabilities), np.zeros_like(policy.weight))
    return paired_parts(policy, nothing, rewards, chances).mean(sessions)


def _corrected(policy: LoggedPolicy, rewards: Rewards, weight: Float64Array) -> Float64Array:
    direct = (policy.probabilities * rewards.predicted).sum(axis=1)
    return np.asarray(direct + weight * rewards.factor * rewards.residual)


def ips_parts(policy: LoggedPolicy, rewards: Rewards) -> Float64Array:
    """Return each row's part of the inverse propensity score, shape (n,)."""
    return np.asarray(policy.weight * rewards.factor * np.where(rewards.is_known, rewards.value, 0.0))


def snips_parts(policy: LoggedPolicy, rewards: Rewards) -> Float64Array:
    """Return parts whose mean is the self-normalised score, and whose variance is that of its linear approximation."""
    weight = policy.weight * rewards.factor
    total = weight.sum()
    if total <= 0:
        return np.full(len(weight), np.nan)
    reward = np.where(rewards.is_known, rewards.value, 0.0)
    value = float((weight * reward).sum() / total)
    return np.asarray(value + weight * (reward - value) * len(weight) / total)


def switched(weight: Float64Array, limit: float) -> Float64Array:
    """Return weights up to `limit` as they are, and 0 above."""
    return np.where(weight <= limit, weight, 0.0)


def optimistic(weight: Float64Array, limit: float) -> Float64Array:
    """Return lambda w / (w^2 + lambda), with lambda the square of `limit`: half of w at the limit.

    >>> optimistic(np.array([1.0, 10.0]), 10.0).round(3).tolist()
    [0.99, 5.0]
    """
    return weight if np.isinf(limit) else np.asarray(limit**2 * weight / (weight**2 + limit**2))


def sub_gaussian(weight: Float64Array, limit: float) -> Float64Array:
    """Return w / (1 - lambda + lambda w), with lambda one over `limit`: below `limit` for any w.

    >>> sub_gaussian(np.array([1.0, 10.0]), 10.0).round(3).tolist()
    [1.0, 5.263]
    """
    return weight if np.isinf(limit) else np.asarray(weight / (1 - 1 / limit + weight / limit))


PLAIN: Mapping[str, Callable[[LoggedPolicy, Rewards], Float64Array]] = {
    "DR": dr_parts,
    "IPS": ips_parts,
    "SNIPS": snips_parts,
}
SHRUNK: Mapping[str, Shrink] = {"switch-DR": switched, "DRos": optimistic, "sub-Gaussian": sub_gaussian}


def all_differences(
    policy: LoggedPolicy,
    reference: LoggedPolicy,
    rewards: Rewards,
    sessions: Sessions,
    chances: Chances | None = None,
) -> dict[str, Estimate]:
    """Return what `policy` brings more than `reference`, by each estimator, with 95 % intervals for a fixed time.

    The three that shrink weights have infinite intervals, because theirs would leave out the bias. `chances` are as
    of `paired_parts`, and concern DR.
    """
    found = {
        name: mean_with_interval(of(policy, rewards) - of(reference, rewards), sessions) for name, of in PLAIN.items()
    }
    found["DR"] = paired_parts(policy, reference, rewards, chances).mean(sessions)
    for name, shrink in SHRUNK.items():
        tried = [
            _corrected(policy, rewards, shrink(policy.weight, limit))
            - _corrected(reference, rewards, shrink(reference.weight, limit))
            for limit in _LIMITS
        ]
        best = slope([mean_with_interval(each, sessions) for each in tried])
        found[name] = Estimate(float(tried[best].mean()), -np.inf, np.inf)
    return found


def slope(estimates: Sequence[Estimate]) -> int:
    """Return the index of the last estimate whose interval still meets those of all before it.

    Estimates come in the order of growing bias and narrowing intervals. Once an interval parts from those before, its
    bias shows (Su, Srinath & Krishnamurthy 2020; intervals here are at 95 %, with twice the usual half width, as
    theirs).

    Examples
    --------
    >>> slope([Estimate(0.5, 0.1, 0.9), Estimate(0.6, 0.5, 0.7), Estimate(0.95, 0.9, 1.0), Estimate(0.5, 0.4, 0.6)])
    1
    """
    low, high = -np.inf, np.inf
    for index, estimate in enumerate(estimates):
        wide = estimate.narrowed(2.0)
        low, high = max(low, wide.low), min(high, wide.high)
        if low > high:
            return index - 1
    return len(estimates) - 1


def mean_with_interval(parts: Float64Array, sessions: Sessions) -> Estimate:
    """Return the mean of parts with its 95 % interval, one cluster for each session.

    It is for one look at a time that was fixed before. See `anytime_difference`.
    """
    return _interval(float(parts.mean()), *clustered_error(parts, sessions))


def _interval(value: float, error: float, n_sessions: int) -> Estimate:
    if not np.isfinite(error):
        return Estimate(value, -np.inf, np.inf)
    half = float(stats.t.ppf((1 + LEVEL) / 2, n_sessions - 1) * error)
    return Estimate(value, value - half, value + half)


def saving_with_interval(cost: Float64Array, reference: Float64Array, sessions: Sessions) -> Estimate:
    """Return 1 - cost / reference from parts of both, with an interval by the delta method.

    Examples
    --------
    >>> saving_with_interval(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.0]), range(3))
    Estimate(value=0.5, low=0.5, high=0.5)
    """
    if np.array_equal(cost, reference):
        return Estimate(0.0, 0.0, 0.0)
    below = float(reference.mean())
    if below <= 0:
        return Estimate(-np.inf, -np.inf, -np.inf)
    ratio = float(cost.mean()) / below
    spread = mean_with_interval((cost - ratio * reference) / below, sessions)
    return Estimate(1 - ratio, 1 - ratio - spread.half_width, 1 - ratio + spread.half_width)


def saving_on_log(
    policy: LoggedPolicy, reference: LoggedPolicy, cost: Rewards, sessions: Sessions, chances: Chances
) -> Estimate:
    """Return the saving of a policy by DR, with an interval that is not narrower than `chances` foresee."""
    parts, of_reference = dr_parts(policy, cost), dr_parts(reference, cost)
    plain = saving_with_interval(parts, of_reference, sessions)
    if plain.half_width == 0 or not np.isfinite(plain.half_width):
        return plain
    ratio = 1 - plain.value
    scaled = LoggedPolicy(ratio * reference.probabilities, ratio * reference.weight)
    half = paired_parts(policy, scaled, cost, chances).mean(sessions).half_width / float(of_reference.mean())
    return Estimate(plain.value, plain.value - half, plain.value + half)


def anytime_difference(
    policy: LoggedPolicy, reference: LoggedPolicy, rewards: Rewards, *, largest_weight: float, level: float = LEVEL
) -> Estimate:
    """Return the DR difference with an interval that holds however often one looks, for rewards in [0, 1].

    With predictions in [0, 1], too, a row's part of the difference is at least minus the largest weight W that can
    occur (and at least -2). So ``(part + W) / (W + 1)`` is at least 0, has no upper limit, and goes into
    `router_model.sequential.confidence_sequences.gamma_mixture_lower` (Waudby-Smith, Wu, Ramdas, Karampatziakis &
    Mineiro 2022). The upper end is the lower one of the exchanged policies.

    Rows count in their order, which must be that of time, and only those whose reward is known. The interval is for the
    mean difference on their prompts.

    Parameters
    ----------
    largest_weight : of either policy, by the propensities of its choices; must not depend on what was drawn
    """
    rows = np.flatnonzero(rewards.is_known)
    if not len(rows):
        return Estimate(0.0, -1.0, 1.0)
    # Only known rewards count here, so their factors are taken relative to their mean.
    factor = rewards.factor[rows] * len(rows) / len(rewards.value)
    step = policy.weight[rows] - reference.weight[rows]
    direct = ((policy.probabilities - reference.probabilities) * rewards.predicted)[rows].sum(axis=1)
    parts = direct + step * factor * rewards.residual[rows]
    most = max(largest_weight * float(factor.max()), 2.0)
    low, high = (
        (most + 1) * float(gamma_mixture_lower((sign * parts + most) / (most + 1), alpha=alpha, last=True)[0]) - most
        for sign, alpha in ((1, (1 - level) / 2), (-1, (1 - level) / 2))
    )
    return Estimate(float(parts.mean()), max(low, -1.0), min(-high, 1.0))


def requests_to_show(variance: float, difference: float = 0.01) -> float:
    """Return how many requests show a difference with a power of 80 %, two-sided at 95 %: 7.85 sigma^2 / delta^2.

    Parameters
    ----------
    variance : of one request's part of the estimate, as it is in the log
    difference : as rewards are measured; 0.01 is a point of quality

    Examples
    --------
    >>> round(requests_to_show(0.25))
    19622
    """
    quantiles = stats.norm.ppf((1 + LEVEL) / 2) + stats.norm.ppf(POWER)
    return float(quantiles**2 * variance / difference**2)


def smallest_shown(variance: float, n: int) -> float:
    """Return the difference that n requests show with a power of 80 %, the inverse of `requests_to_show`."""
    return float(np.sqrt(requests_to_show(variance, 1.0) / n))


def effective_size(weight: Float64Array) -> float:
    """Return the number of rows of weight 1 that would say as much: (sum w)^2 / sum w^2 (Kish 1965).

    >>> effective_size(np.array([1.0, 1.0, 0.0, 2.0]))
    2.6666666666666665
    """
    squares = float((weight**2).sum())
    return float(weight.sum()) ** 2 / squares if squares else 0.0
