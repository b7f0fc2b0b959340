"""Confidence sequences: intervals for a mean that hold at all times at once, so that one may look after each value.

An interval for a fixed number of values is wrong if one looks again and again and stops when it pleases: repeated
z-tests at 5 % call a difference in a third of the streams without any. A confidence sequence contains the mean at
*all* times with probability 1 - alpha. The price is a wider interval.

The mean at time t is the average of the conditional means of the first t values. They may change over time, and the
values may depend on the past; they need not be identically distributed.

- `gamma_mixture_lower` is for values of at least 0 without an upper limit, as weighted rewards are.
- `difference_values` is for two arms to which chance assigns each unit, as a canary and the others.

The width of both follows the variance that the values show.
"""

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import gammainc, gammaln

Float64Array = npt.NDArray[np.float64]

_RHO = 1.0  # of the gamma mixture; tight where the sum of squares is of this order, and good far beyond
_BISECTIONS = 60
_HALVINGS: Final = 24
_BETS: Final = np.geomspace(0.005, 0.8, 16)
"""From differences that take 10,000s of values to show, to those that take a few."""


def gamma_mixture_lower(values: npt.ArrayLike, *, alpha: float = 0.05, last: bool = False) -> Float64Array:
    """Return lower bounds of the running mean of values of at least 0, which hold at all times at once.

    With X the values, X̂_t = min(1, (X_1 + ... + X_{t-1} + 1/2) / t) what they were predicted to be, V the sum of
    (X - X̂)^2 and S = sum X - t mu, the process ``exp(lambda S - psi(lambda) V)``, psi(lambda) = -ln(1 - lambda) -
    lambda, is a supermartingale for all lambda in [0, 1) at once (Fan, Grama & Liu 2015; it needs X - X̂ >= -1, so X̂ is
    at most 1). Mixed over lambda with a truncated gamma density (Howard, Ramdas, McAuliffe & Sekhon 2021, proposition
    9), it is

        log W = S + V + rho ln rho - (V + rho) ln(S + V + rho) + ln g(V + rho, S + V + rho) - ln g(rho, rho)

    with g the unnormalised lower incomplete gamma function. By Ville's inequality W reaches 1 / alpha with probability
    alpha at most. The bound is the mu at which it does.

    Parameters
    ----------
    values : shape (n,), at least 0
        Bounds are narrow if the mean is of the order of 1 or below.
    alpha : the probability that the mean is ever below its bound
    last : only compute the bound after the last value, which is much faster

    Returns
    -------
    float64 array, shape (n,), or (1,) if only the last bound is wanted

    Raises
    ------
    ValueError
        If a value is negative or not finite.

    Examples
    --------
    >>> gamma_mixture_lower(np.tile([0.0, 2.0], 200))[[9, 99, 399]].round(3).tolist()
    [-0.316, 0.642, 0.821]
    """
    x = _checked(values, most=np.inf)
    t = np.arange(1, len(x) + 1)
    total = np.cumsum(x)
    predicted = np.minimum((total - x + 0.5) / t, 1.0)
    spread = np.cumsum((x - predicted) ** 2)
    part = slice(-1, None) if last else slice(None)
    return np.asarray((total[part] - _needed_sum(spread[part], np.log(1 / alpha))) / t[part])


def _needed_sum(spread: Float64Array, log_threshold: float) -> Float64Array:
    """Return the S at which the log of the mixture reaches a threshold, for each V.

    The mixture increases with S and is at most 1 at S = 0, so the root is above 0 and bisection finds it.
    """
    low, high = np.zeros_like(spread), 4 * (np.sqrt((spread + 1) * (log_threshold + 1)) + log_threshold + 1)
    while (short := _log_gamma_mixture(high, spread) < log_threshold).any():
        high = np.where(short, 2 * high, high)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        reached = _log_gamma_mixture(middle, spread) >= log_threshold
        low, high = np.where(reached, low, middle), np.where(reached, middle, high)
    return high


def _log_gamma_mixture(above: Float64Array, spread: Float64Array) -> Float64Array:
    """Return log W at S = `above` >= 0 and V = `spread`."""
    shape, end = spread + _RHO, above + spread + _RHO
    log_g = np.log(gammainc(shape, end)) + gammaln(shape)
    log_g_rho = np.log(gammainc(_RHO, _RHO)) + gammaln(_RHO)
    mixed = above + spread + _RHO * np.log(_RHO) - shape * np.log(end) + log_g - log_g_rho
    return np.asarray(mixed)


class Differences(NamedTuple):
    """A canary's rewards less the others', as values whose mean is the difference at every step.

    With T and C the indicators of canary and not, r a reward and c the mean of the rewards before,

        x = T (r - c) / share - C (r - c) / (1 - share)

    has the canary's mean less the others' as its conditional mean, whatever the hour and whatever c is, if chance
    assigned each unit (Horvitz & Thompson 1952). Subtracting c makes x small: its variance and, more important, its
    range.

    Attributes
    ----------
    values : shape (n,), x
    floors : shape (n,)
        x is at least -floor; known before the step.
    ceilings : shape (n,)
        x is at most the ceiling.
    """

    values: Float64Array
    floors: Float64Array
    ceilings: Float64Array

    def log_e_above(self, bound: float = 0.0) -> Float64Array:
        """Return the log of the e-value against "the difference is `bound` at most", after each value."""
        return _log_e_mean(self.values, self.floors, bound, np.cumsum)

    def log_e_below(self, bound: float = 0.0) -> Float64Array:
        """Return the log of the e-value against "the difference is `bound` at least", after each value."""
        return _log_e_mean(-self.values, self.ceilings, -bound, np.cumsum)

    def bounds(self, *, alpha: float = 0.05) -> tuple[float, float]:
        """Return bounds of the mean difference, which hold at all times at once; each errs with alpha / 2."""
        if not len(self.values):
            return -np.inf, np.inf
        low = _mean_lower(self.values, self.floors, np.log(2 / alpha))
        return low, -_mean_lower(-self.values, self.ceilings, np.log(2 / alpha))


def difference_values(
    is_canary: npt.ArrayLike, rewards: npt.ArrayLike, *, share: float, most: float = 1.0, guess: float = 0.5
) -> Differences:
    """Return the differences of a stream in which chance assigned each unit to the canary or not.

    Parameters
    ----------
    is_canary : bool, shape (n,)
    rewards : shape (n,), from 0 to `most`
        In order of time. For sessions, one value of each.
    share : the probability of the canary
    most : the largest reward
    guess : what the mean is thought to be before the first reward; worth one of them

    Examples
    --------
    >>> difference_values([True, False], [1.0, 0.5], share=0.1).values.round(3).tolist()
    [5.0, 0.278]
    """
    r = _checked(rewards, most=most)
    mean = (guess + np.cumsum(r) - r) / np.arange(1, len(r) + 1)
    x = np.where(np.asarray(is_canary, dtype=bool), (r - mean) / share, -(r - mean) / (1 - share))
    floors = np.maximum(mean / share, (most - mean) / (1 - share))
    ceilings = np.maximum((most - mean) / share, mean / (1 - share))
    return Differences(x, floors, ceilings)


def _log_e_mean(values: Float64Array, floors: Float64Array, bound: float, total: Any) -> Float64Array:
    """Return the log of the capital of bets that the mean of values is above a bound.

    With xi = (x - bound) / (floor + max(bound, 0)) >= -1, ``prod (1 + lambda xi)`` has mean 1 at most if the
    conditional means of x are `bound` at most, for all lambda in [0, 1). It is averaged over a grid of lambda
    (Waudby-Smith & Ramdas 2023, section 4). As 1 + lambda xi >= exp(lambda xi - xi^2 psi(lambda)), it is nowhere below
    the empirical Bernstein process of the same lambda, and so at least as quick.

    `total` is ``np.cumsum``, or ``np.sum`` for the end alone.
    """
    xi = (values - bound) / (floors + max(bound, 0.0))
    capital = total(np.log1p(_BETS[0] * xi))
    for bet in _BETS[1:]:
        capital = np.logaddexp(capital, total(np.log1p(bet * xi)))
    return np.asarray(capital - np.log(len(_BETS)))


def _mean_lower(values: Float64Array, floors: Float64Array, log_threshold: float) -> float:
    """Return the bound at which the capital reaches a threshold; the capital falls as the bound grows."""
    least, most = -float(floors.max()), float(np.abs(values).max())

    def above(bound: float) -> float:
        return float(_log_e_mean(values, floors, bound, np.sum)) - log_threshold

    if above(least) < 0:
        return -np.inf
    # By halves, as scipy.optimize is not in the service's image. The lower end is returned, so the bound holds.
    for _ in range(_HALVINGS):
        middle = (least + most) / 2
        least, most = (middle, most) if above(middle) >= 0 else (least, middle)
    return least


def _checked(values: npt.ArrayLike, *, most: float) -> Float64Array:
    x = np.asarray(values, dtype=np.float64)
    wrong = ~(np.isfinite(x) & (x >= 0) & (x <= most))
    if wrong.any():
        first = int(np.argmax(wrong))
        raise ValueError(f"value {first} is {x[first]}, expected one from 0 to {most:g}; scale the values first")
    return x
