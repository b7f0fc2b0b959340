"""Sequential tests: stop as soon as a canary is shown to be worse, at an error rate that holds however often one looks.

An e-value is a likelihood ratio with mean 1, at most, if nothing is wrong. The probability that it ever reaches 1 /
alpha is alpha at most (Ville 1939). One stops there.

- `log_e_binomial`: a probability is what it should be. Of failures that fell into the canary, or of assignments.
- `quantile_interval`: a quantile, as of latency, with an interval that holds at all times at once.
"""

from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import betainc, betaln

Float64Array = npt.NDArray[np.float64]
Alternative = Literal["different", "greater", "less"]


def log_e_binomial(
    hits: npt.ArrayLike,
    misses: npt.ArrayLike,
    share: float,
    *,
    alternative: Alternative = "different",
    prior: tuple[float, float] = (1.0, 1.0),
) -> Float64Array:
    """Return the log of the e-value against the hypothesis that each event is a hit with probability `share`.

    The likelihood of another probability, mixed over a beta density, over the likelihood of `share`:

        E = B(a + hits, b + misses) / [B(a, b) share^hits (1 - share)^misses]

    (Robbins 1970; Lindon & Malek, NeurIPS 2022). For a one-sided `alternative` the density is cut off at `share`, and
    the hypothesis includes the probabilities on the other side.

    **Failures of a canary.** If the canary gets a session with probability `share` and fails as often as the others,
    each failure is one of the canary with this probability, whatever the hour and the traffic. So `hits` are its
    failures, `misses` the others', and ``greater`` is what matters. **Sample-ratio mismatch.** `hits` and `misses` are
    the sessions that were assigned to each.

    Parameters
    ----------
    hits, misses : counts so far, of any shape
    share : between 0 and 1
    alternative : what one looks for
    prior : a and b

    Examples
    --------
    Three of three failures fell into a canary that gets half of the traffic. B(4, 1) / B(1, 1) = 1/4, and
    1/4 / (1/2)^3 = 2. With ``greater`` the density is that of (1/2, 1): (1/4) (1 - 1/16) / (1/2) / (1/2)^3 = 3.75.

    >>> [round(float(np.exp(log_e_binomial(3, 0, 0.5, alternative=way))), 4) for way in ("different", "greater")]
    [2.0, 3.75]
    """
    hits, misses = np.asarray(hits, dtype=np.float64), np.asarray(misses, dtype=np.float64)
    a, b = prior
    evidence = betaln(a + hits, b + misses) - betaln(a, b) - hits * np.log(share) - misses * np.log1p(-share)
    if alternative != "different":
        with np.errstate(divide="ignore"):  # no part of the density is left: evidence against the alternative
            evidence = evidence + np.log(_part(a + hits, b + misses, share, alternative))
        evidence -= np.log(_part(np.asarray(a), np.asarray(b), share, alternative))
    return np.asarray(evidence)


def _part(a: Float64Array, b: Float64Array, share: float, alternative: Alternative) -> Float64Array:
    """Return how much of a beta distribution lies on the side of the alternative."""
    return np.asarray(betainc(b, a, 1 - share) if alternative == "greater" else betainc(a, b, share))


class Interval(NamedTuple):
    """The ends of an interval; infinite where the values cannot say yet."""

    low: float
    high: float


def quantile_interval(values: npt.ArrayLike, p: float, *, alpha: float = 0.05) -> Interval:
    """Return an interval for the p-quantile that holds at all times at once.

    A value is at most as large as the quantile with probability p or more, and smaller with p or less. So a number is
    ruled out as the quantile when `log_e_binomial` says that too few values are at most as large, or too many smaller.
    The ends are order statistics (Howard & Ramdas 2022). Ties do no harm.

    Parameters
    ----------
    values : shape (n,), in any order
    p : between 0 and 1
    alpha : the probability that the quantile is ever outside

    Examples
    --------
    >>> quantile_interval(np.arange(1.0, 1001.0), 0.9)
    Interval(low=868.0, high=930.0)
    >>> quantile_interval([1.0, 2.0, 3.0], 0.9)
    Interval(low=-inf, high=inf)
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    n = len(ordered)
    counts, threshold, prior = np.arange(n + 1), np.log(2 / alpha), _prior(p)
    too_few = log_e_binomial(counts, n - counts, p, alternative="less", prior=prior) >= threshold
    too_many = log_e_binomial(counts, n - counts, p, alternative="greater", prior=prior) >= threshold
    # Too few is a beginning of the counts and too many an end, because each e-value is monotone in the count.
    n_few, n_many = int(too_few.sum()), int(too_many.sum())
    low = float(ordered[n_few - 1]) if n_few else -np.inf
    high = float(ordered[n - n_many]) if n_many else np.inf
    return Interval(low, high)


def _prior(p: float) -> tuple[float, float]:
    """Return a density around p, worth ten values: flat ones waste evidence on shares that nobody expects."""
    return 10 * p, 10 * (1 - p)


def quantile_rose(
    canary: npt.ArrayLike, others: npt.ArrayLike, p: float, *, alpha: float = 0.05, tolerance: float = 0.0
) -> bool:
    """Return whether the canary's p-quantile is shown to be higher than the others', by more than a tolerance.

    Their intervals lie apart (Lindon, Sanden & Shirikian, KDD 2022). If the canary's quantile is not higher, this is
    ever True with probability alpha at most, however often one looks: each of the two ends errs with alpha / 2.

    Parameters
    ----------
    canary, others : shape (n,) each
        Latencies in seconds, say.
    p : between 0 and 1
    tolerance : a share of the others' quantile

    Examples
    --------
    >>> waits = np.linspace(0.5, 1.5, 400)
    >>> quantile_rose(waits + 0.2, waits, 0.5), quantile_rose(waits + 0.2, waits, 0.5, tolerance=0.2)
    (True, False)
    """
    of_canary, of_others = (quantile_interval(each, p, alpha=alpha) for each in (canary, others))
    return of_canary.low > (1 + tolerance) * of_others.high
