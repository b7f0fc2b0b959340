"""Sessions of a canary, made up: of several requests each, with an hour of the day and users who differ.

Three requests a session on average. A session fails with 0.5 % to 5.5 %, and latency is 0.7 to 1.3 times its mean, by
the hour (a day is 5,000 sessions). 30 % of the requests are graded; the mean of quality is 0.8. Costs are lognormal
(sigma 1) around the user's.
"""

import numpy as np

from router_model.sequential.canary import Sessions

A_DAY = 5_000
_TAIL = 1.2816
"""The 90 % quantile of a normal density: what is doubled above it doubles the 95 % quantile and not the median."""

EFFECTS = {
    "equal": {},
    "failures +5 points": {"failures": 0.05},
    "failures +20 points": {"failures": 0.2},
    "quality -5 points": {"quality": -0.05},
    "quality -20 points": {"quality": -0.2},
    "cost x2": {"cost": 2.0},
    "latency x2": {"latency": 2.0},
    "latency p95 x2, median equal": {"tail": 2.0},
}


def canary_sessions(rng, n, share, *, failures=0.0, quality=0.0, cost=1.0, latency=1.0, tail=1.0):
    """Return `n` sessions; the canary's differ by what is said."""
    is_canary = rng.random(n) < share
    hour = np.sin(np.arange(n) * 2 * np.pi / A_DAY)
    n_requests = rng.geometric(1 / 3, n)
    session = np.repeat(np.arange(n), n_requests)
    of_canary = is_canary[session]

    failed = rng.random(n) < 0.03 + 0.025 * hour + failures * is_canary

    good = rng.random(len(session)) < rng.beta(4, 1, n)[session] + quality * of_canary
    graded = rng.random(len(session)) < 0.3
    n_graded = np.bincount(session[graded], minlength=n)
    with np.errstate(invalid="ignore"):
        grade = np.bincount(session[graded & good], minlength=n) / n_graded

    usd = 0.001 * rng.lognormal(0, 0.5, n)[session] * rng.lognormal(0, 1, len(session)) * np.where(of_canary, cost, 1)

    z = rng.normal(size=len(session))
    waits = 2 * np.exp(0.6 * z) * (1 + 0.3 * hour)[session] * np.where(of_canary, latency, 1)
    waits *= np.where(of_canary & (z > _TAIL), tail, 1)
    slowest = np.zeros(n)
    np.maximum.at(slowest, session, waits)
    return Sessions(
        is_canary, np.where(failed, np.arange(n, dtype=float), np.nan), grade, np.bincount(session, usd, n), slowest
    )
