"""Sequential tests: stop as soon as a canary is shown to be worse, at an error rate that holds however often one looks.

An e-value is a likelihood ratio with mean 1, at most, if nothing is wrong. The probability that it ever reaches 1 /
alpha is alpha at most (Ville 1939). One stops there.

- `log_e_binomial`: a probability is what it should be. Of failures that fell into the canary, or of assignments.
- `share_interval`: the probabilities that it may still be.
"""

from typing import Final, Literal

import numpy as np
import numpy.typing as npt
from scipy.special import betainc, betaln

Float64Array = npt.NDArray[np.float64]
Alternative = Literal["different", "greater", "less"]

_BISECTIONS: Final = 50


def log_e_binomial(
    hits: npt.ArrayLike,
    misses: npt.ArrayLike,
    share: float,
    *,
    alternative: Alternative = "different",
) -> Float64Array:
    """Return the log of the e-value against the hypothesis that each event is a hit with probability `share`.

    The likelihood of another probability, mixed evenly over all probabilities, over the likelihood of `share`:

        E = B(1 + hits, 1 + misses) / [share^hits (1 - share)^misses]

    (Robbins 1970; Lindon & Malek, NeurIPS 2022). For a one-sided `alternative` the even density is cut off at `share`,
    and the hypothesis includes the probabilities on the other side.

    **Failures of a canary.** If the canary gets a session with probability `share` and fails as often as the others,
    each failure is one of the canary with this probability, whatever the hour and the traffic. So `hits` are its
    failures, `misses` the others', and ``greater`` is what matters. **Sample-ratio mismatch.** `hits` and `misses` are
    the sessions that were assigned to each.

    Parameters
    ----------
    hits, misses : counts so far, of any shape
    share : between 0 and 1
    alternative : what one looks for

    Examples
    --------
    Three of three failures fell into a canary that gets half of the traffic. B(4, 1) = 1/4, and
    1/4 / (1/2)^3 = 2. With ``greater`` the density is that of (1/2, 1): (1/4) (1 - 1/16) / (1/2) / (1/2)^3 = 3.75.

    >>> [round(float(np.exp(log_e_binomial(3, 0, 0.5, alternative=way))), 4) for way in ("different", "greater")]
    [2.0, 3.75]
    """
    hits, misses = np.asarray(hits, dtype=np.float64), np.asarray(misses, dtype=np.float64)
    evidence = betaln(1 + hits, 1 + misses) - hits * np.log(share) - misses * np.log1p(-share)
    if alternative != "different":
        with np.errstate(divide="ignore"):  # no part of the density is left: evidence against the alternative
            evidence = evidence + np.log(_part(1 + hits, 1 + misses, share, alternative))
        evidence -= np.log(1 - share if alternative == "greater" else share)
    return np.asarray(evidence)


def _part(a: Float64Array, b: Float64Array, share: float, alternative: Alternative) -> Float64Array:
    """Return how much of a beta distribution lies on the side of the alternative."""
    return np.asarray(betainc(b, a, 1 - share) if alternative == "greater" else betainc(a, b, share))


def share_interval(hits: int, misses: int, *, alpha: float = 0.05) -> tuple[float, float]:
    """Return the shares that `log_e_binomial` does not rule out: an interval that holds at all times at once.

    The e-value is smallest at the share that was seen, and grows to both sides of it.

    Examples
    --------
    >>> [round(one, 3) for one in share_interval(30, 70)], share_interval(0, 0)
    ([0.169, 0.457], (0.0, 1.0))
    """
    if hits + misses == 0:
        return 0.0, 1.0
    seen = hits / (hits + misses)

    def end(outside: float) -> float:
        inside = seen
        for _ in range(_BISECTIONS):
            middle = (inside + outside) / 2
            ruled_out = log_e_binomial(hits, misses, middle) >= -np.log(alpha)
            inside, outside = (inside, middle) if ruled_out else (middle, outside)
        return float(inside)

    return (end(0.0) if hits else 0.0), (end(1.0) if misses else 1.0)
