"""Confidence sequences: intervals for a mean that hold at all times at once, so that one may look after each value.

An interval for a fixed number of values is wrong if one looks again and again and stops when it pleases: repeated
z-tests at 5 % call a difference in a third of the streams without any. A confidence sequence contains the mean at
*all* times with probability 1 - alpha. The price is a wider interval.

The mean at time t is the average of the conditional means of the first t values. They may change over time, and the
values may depend on the past; they need not be identically distributed.

- `gamma_mixture_lower` is for values of at least 0 without an upper limit, as weighted rewards are.
- `predictable_mixture` is for values in [0, 1].

Both are empirical Bernstein: their width follows the variance that the values show.
"""

import numpy as np
import numpy.typing as npt
from scipy.special import gammainc, gammaln

Float64Array = npt.NDArray[np.float64]

_RHO = 1.0  # of the gamma mixture; tight where the sum of squares is of this order, and good far beyond
_BISECTIONS = 60


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


def predictable_mixture(values: npt.ArrayLike, *, alpha: float = 0.05) -> tuple[Float64Array, Float64Array]:
    """Return lower and upper bounds of the running mean of values in [0, 1], which hold at all times at once.

    The lower bound is ``[sum lambda x - ln(2 / alpha) - sum (x - m)^2 psi(lambda)] / sum lambda`` with psi(lambda) =
    -ln(1 - lambda) - lambda, m the mean of the values before (with one value of 1/2 more), and lambda_t = min(1/2,
    sqrt(2 ln(2 / alpha) / (t ln(1 + t) s^2))) with s^2 the variance of the values before (with one value of 1/4 more)
    (predictable plug-in empirical Bernstein; Waudby-Smith & Ramdas 2023, theorem 2). The upper one is that of 1 - x.

    Where conditional means change over time, it bounds their average with weights lambda.

    Parameters
    ----------
    values : shape (n,), from 0 to 1
    alpha : the probability that the mean is ever outside its bounds

    Returns
    -------
    two float64 arrays, shape (n,)

    Raises
    ------
    ValueError
        If a value is outside [0, 1].

    Examples
    --------
    The first value, 1, is predicted to be 1/2. With ln(2 / 0.05) = 3.689 and a variance of 1/4, lambda_1 would be 6.5
    and is 1/2; psi(1/2) = 0.193. The first lower bound is (1/2 - 3.689 - 0.25 * 0.193) / 0.5:

    >>> low, high = predictable_mixture([1.0, 0.0])
    >>> round(float(low[0]), 3), round((0.5 - 3.689 - 0.25 * 0.193) / 0.5, 3)
    (-6.474, -6.474)
    """
    x = _checked(values, most=1.0)
    return _plug_in_lower(x, np.log(2 / alpha)), 1 - _plug_in_lower(1 - x, np.log(2 / alpha))


def _plug_in_lower(x: Float64Array, log_threshold: float) -> Float64Array:
    t = np.arange(1, len(x) + 1)
    mean = (0.5 + np.cumsum(x)) / (t + 1)
    before = np.concatenate([[0.5], mean[:-1]])
    variance = (0.25 + np.cumsum((x - mean) ** 2)) / (t + 1)
    variance_before = np.concatenate([[0.25], variance[:-1]])
    bet = np.minimum(0.5, np.sqrt(2 * log_threshold / (t * np.log1p(t) * variance_before)))
    penalty = (x - before) ** 2 * (-np.log1p(-bet) - bet)
    return np.asarray((np.cumsum(bet * x) - log_threshold - np.cumsum(penalty)) / np.cumsum(bet))


def difference_bounds(
    is_canary: npt.ArrayLike, rewards: npt.ArrayLike, *, share: float, alpha: float = 0.05
) -> tuple[Float64Array, Float64Array]:
    """Return bounds of the canary's mean reward less the other's, from a stream in which chance assigned each unit.

    With T and C the indicators of canary and not, ``T r / share - C r / (1 - share)`` has the difference as its mean,
    whatever the hour (Horvitz & Thompson 1952). It lies between -1 / (1 - share) and 1 / share, is scaled to [0, 1] and
    goes into `predictable_mixture`. Rewards are centred at 1/2 first, which leaves the mean as it is and halves the
    range.

    Parameters
    ----------
    is_canary : bool, shape (n,)
    rewards : shape (n,), from 0 to 1; for sessions, one mean of each
    share : the probability of the canary
    alpha : the probability that the difference is ever outside its bounds

    Returns
    -------
    two float64 arrays, shape (n,)
    """
    r = _checked(rewards, most=1.0) - 0.5
    most = 0.5 / min(share, 1 - share)
    x = np.where(np.asarray(is_canary, dtype=bool), r / share, -r / (1 - share))
    low, high = predictable_mixture((x + most) / (2 * most), alpha=alpha)
    return 2 * most * low - most, 2 * most * high - most


def _checked(values: npt.ArrayLike, *, most: float) -> Float64Array:
    x = np.asarray(values, dtype=np.float64)
    wrong = ~(np.isfinite(x) & (x >= 0) & (x <= most))
    if wrong.any():
        first = int(np.argmax(wrong))
        raise ValueError(f"value {first} is {x[first]}, expected one from 0 to {most:g}; scale the values first")
    return x
