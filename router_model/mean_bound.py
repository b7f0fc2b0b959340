"""Test whether the mean quality of prompts is above a target, from graded outcomes between 0 and 1, by betting.

A bettor starts with one coin and bets on each outcome in turn that it is above the target. If the mean is the target
or less, no way of betting is expected to gain. So the bettor reaches ``1 / level`` coins with probability `level` at
most (Ville), and reaching it shows that the mean is above the target. The size of each bet depends on the earlier
outcomes alone: it is the predictable plug-in of Waudby-Smith & Ramdas for a fixed number of outcomes.

Where outcomes belong together, the logarithm of the wealth is divided by their design effect, just as the counts are in
`router_model.certificate.binomial_p_value`: n copies of each outcome then show what one of each shows.

References
----------
Waudby-Smith, Ramdas (2023), Estimating means of bounded random variables by betting, JRSS B 86(1), equation 26.
"""

import math

import numpy as np
import numpy.typing as npt

_LARGEST_BET = 0.5  # of what can be lost at once, as in the reference
_PRIOR_MEAN, _PRIOR_VARIANCE = 0.5, 0.25  # of outcomes before the first is seen; one outcome's weight, as there
_STEPS = 40  # of the bisection, which is then exact to 1e-12


def shows_mean(outcomes: npt.ArrayLike, target: float, *, level: float, design_effect: float = 1.0) -> bool:
    """Say whether outcomes show that their mean is above a target.

    If it is not, the answer is True with probability `level` at most.

    Parameters
    ----------
    outcomes : from 0 to 1, shape (n,), in an order that does not depend on them
    target : above 0 and below 1
    level : above 0 and below 1
    design_effect : 1 or more

    Examples
    --------
    Of outcomes that are all 1, the largest bet against 0.9 multiplies the wealth by 1 + 0.1 x 0.5 / 0.9. It takes 43 of
    them to have 10 coins:

    >>> [shows_mean(np.ones(n), 0.9, level=0.1) for n in (42, 43)]
    [False, True]
    """
    x = np.asarray(outcomes, dtype=np.float64)
    n_seen = np.arange(1, len(x) + 1)
    mean = (_PRIOR_MEAN + np.cumsum(x)) / (n_seen + 1)
    variance = (_PRIOR_VARIANCE + np.cumsum((x - mean) ** 2)) / (n_seen + 1)
    before = np.concatenate([[_PRIOR_VARIANCE], variance[:-1]])
    bet = np.sqrt(2 * math.log(1 / level) * design_effect / (len(x) * before))
    gains = np.log1p(np.minimum(bet, _LARGEST_BET / target) * (x - target))
    return bool(np.cumsum(gains).max() >= math.log(1 / level) * design_effect)


def mean_lower_bound(outcomes: npt.ArrayLike, *, level: float, design_effect: float = 1.0) -> float:
    """Return the largest target that outcomes show their mean to be above; 0 if they show nothing.

    >>> judged = np.tile([1.0, 0.75, 1.0, 0.5], 100)
    >>> round(mean_lower_bound(judged, level=0.1), 3), round(mean_lower_bound(judged, level=0.1, design_effect=5), 3)
    (0.79, 0.755)
    """
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if shows_mean(outcomes, middle, level=level, design_effect=design_effect):
            low = middle
        else:
            high = middle
    return low
