"""How often intervals hold the success rates of kinds of prompts, when chance is allowed for."""

import numpy as np

from router_model.prediction.calibration import logit, sigmoid
from router_model.prediction.uncertainty import INTERVAL

N_DRAWS = 400
SMALLEST_KIND = 20


def covered(p, spread, success, kinds, seed):
    """Return the share of (kind, model) pairs with successes in the central 90 % of what spread and chance allow.

    All prompts of a kind deviate together: each model's deviation is one normal draw times the spread on the log odds.

    Parameters
    ----------
    p, spread, success : shape (n, n_models)
    kinds : shape (n,); kinds of fewer than 20 prompts are left out
    """
    rng = np.random.default_rng(seed)
    inside = []
    for kind in np.unique(kinds):
        rows = np.flatnonzero(kinds == kind)
        if len(rows) < SMALLEST_KIND:
            continue
        succeeded = np.empty((N_DRAWS, p.shape[1]))
        for draw in range(N_DRAWS):
            rate = sigmoid(logit(p[rows]) + rng.normal(size=p.shape[1]).astype(np.float32) * spread[rows])
            succeeded[draw] = (rng.random(rate.shape) < rate).sum(axis=0)
        # Ties are split at random, so that a perfect prediction covers exactly nine in ten.
        observed = success[rows].sum(axis=0)
        rank = (succeeded < observed).mean(axis=0) + rng.random(p.shape[1]) * (succeeded == observed).mean(axis=0)
        inside.append((rank >= (1 - INTERVAL) / 2) & (rank <= (1 + INTERVAL) / 2))
    return float(np.mean(inside))
