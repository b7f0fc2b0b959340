"""Choose the operating point: the value of a success that a router uses if a request does not give a goal."""

import numpy as np
import numpy.typing as npt

from router_model.policy import OperatingPoint, best_by_value

Float64Array = npt.NDArray[np.float64]

_N_VALUES = 200


def choose_operating_point(
    p_success: Float64Array,
    cost_usd: Float64Array,
    success: Float64Array,
    known: npt.NDArray[np.bool_],
    *,
    bar: float,
) -> OperatingPoint:
    """Return the least success value that succeeds as often as the best single model, to one standard error.

    The standard error is of the difference between the two on the same prompts; without it, a handful of prompts
    that went the other way would decide between settings that differ tenfold in cost (the one-standard-error rule
    of Breiman et al. 1984; docs/decisions/0002).

    Success of a (prompt, model) pair that was not logged is taken as predicted, so partial logs can be used;
    with full tables only real outcomes count.

    Parameters
    ----------
    p_success, cost_usd : shape (n_prompts, n_models)
        Out-of-fold predictions.
    success : shape (n_prompts, n_models); 1 or 0, anything where not `known`
    known : shape (n_prompts, n_models)
    bar : the quality bar of all of them
    """
    outcome = np.where(known, success, p_success)
    rows = np.arange(len(outcome))
    eligible = np.ones(outcome.shape, dtype=bool)
    best_single = outcome[:, int(np.argmax(outcome.mean(axis=0)))]
    best_value, best_success = 0.0, -1.0
    for value in success_values(cost_usd):
        chosen = best_by_value(p_success, cost_usd, eligible, success_value_usd=value)
        difference = outcome[rows, chosen] - best_single
        if difference.mean() >= -difference.std() / np.sqrt(len(difference)) - 1e-9:
            return OperatingPoint(bar, value)
        reached = float(outcome[rows, chosen].mean())
        if reached > best_success:
            best_value, best_success = value, reached
    return OperatingPoint(bar, best_value)


def success_values(cost_usd: Float64Array) -> list[float]:
    """Return values of a success that span everything from the cheapest model to the likeliest, ascending.

    Rounded to three digits, so that what is stored is what was tried.
    """
    mean_cost = cost_usd.mean(axis=0)
    low = max(float(mean_cost.min()), 1e-9) / 100
    high = max(float(mean_cost.max()), 1e-9) * 1e5
    return [0.0, *(float(f"{value:.3g}") for value in np.geomspace(low, high, _N_VALUES))]
