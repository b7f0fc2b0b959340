"""How often certificates are broken: certify on random parts of outcomes that are known, and look at the rest.

Arrays in, arrays out; nothing is trained or predicted here. Used by the tests and benchmarks that check the promise
of `router_model.training.measuring.certify`, and of use on a table of one's own.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from router_model.training.measuring.certify import last_rejected

BoolArray = npt.NDArray[np.bool_]
Float64Array = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Draws:
    """What certification chose in n draws, and what became of it.

    Attributes
    ----------
    last : int64 array, shape (n_draws,)
        Index of the chosen value; -1 where nothing is certified.
    test_rate : float64 array, shape (n_draws,)
        Success rate of the chosen value on the test prompts; NaN where nothing is certified.
    all_rate : float64 array, shape (n_draws,)
        The same on all prompts, which the calibration prompts are a sample of.
    """

    last: Int64Array
    test_rate: Float64Array
    all_rate: Float64Array

    @property
    def certified(self) -> float:
        """Share of draws that certified a value."""
        return float((self.last >= 0).mean())

    def violations(self, target: float, *, on_test: bool = False) -> float:
        """Share of all draws whose certified value succeeds less often than the target."""
        return float(((self.test_rate if on_test else self.all_rate) < target).mean())


def random_sides(n_prompts: int, n_calibration: int, n_draws: int, *, seed: int) -> BoolArray:
    """Return which prompts calibrate in each of `n_draws` random splits, shape (n_draws, n_prompts)."""
    rng = np.random.default_rng(seed)
    return rng.permuted(np.tile(np.arange(n_prompts) < n_calibration, (n_draws, 1)), axis=1)


def with_replacement(n_prompts: int, n_calibration: int, n_draws: int, *, seed: int) -> Int64Array:
    """Return how often each prompt calibrates where they are drawn independently, shape (n_draws, n_prompts).

    That is what the proof assumes of the world: all prompts are the world, and `Draws.all_rate` is the true rate.
    """
    rng = np.random.default_rng(seed)
    return rng.multinomial(n_calibration, np.full(n_prompts, 1 / n_prompts), size=n_draws)


def task_sides(
    tasks: npt.NDArray[np.str_], n_calibration: int, n_draws: int, *, seed: int
) -> tuple[BoolArray, BoolArray]:
    """Return which prompts calibrate and which test where no task is on both sides.

    The tasks are dealt at random, half (rounded down) to calibration; of its prompts `n_calibration` are drawn, or
    all where there are fewer.

    Returns
    -------
    two bool arrays, shape (n_draws, n_prompts)
    """
    rng = np.random.default_rng(seed)
    labels = np.unique(tasks)
    calibration, test = np.zeros((2, n_draws, len(tasks)), dtype=np.bool_)
    for draw in range(n_draws):
        chosen = rng.permutation(labels)[: len(labels) // 2]
        side = np.isin(tasks, chosen)
        rows = np.flatnonzero(side)
        calibration[draw, rng.permutation(rows)[:n_calibration]] = True
        test[draw] = ~side
    return calibration, test


def certify_draws(
    succeeded: BoolArray, calibration: BoolArray | Int64Array, test: BoolArray, *, target: float, level: float
) -> Draws:
    """Certify a target on the calibration side of every draw.

    Parameters
    ----------
    succeeded : shape (n_values, n_prompts)
        Whether the model chosen at each value succeeds, values in the order of the walk.
    calibration, test : shape (n_draws, n_prompts)
        Which prompts calibrate (or how often each), and which test.
    level : the probability of an error that is allowed
    """
    counted = _counts(succeeded, calibration)
    last = last_rejected(counted, calibration.sum(axis=1), target=target, level=level)
    return _draws(succeeded, test, last)


def naive_draws(succeeded: BoolArray, calibration: BoolArray, test: BoolArray, *, target: float) -> Draws:
    """Choose in every draw what is tempting: the cheapest value that reaches the target on calibration."""
    reached = _counts(succeeded, calibration) / calibration.sum(axis=1) >= target
    cheapest = len(reached) - 1 - np.argmax(reached[::-1], axis=0)
    return _draws(succeeded, test, np.where(reached.any(axis=0), cheapest, -1))


def _counts(succeeded: BoolArray, side: BoolArray | Int64Array) -> Float64Array:
    """Count successes, shape (n_values, n_draws)."""
    return np.asarray(succeeded.astype(np.float64) @ side.T.astype(np.float64))


def _draws(succeeded: BoolArray, test: BoolArray, last: Int64Array) -> Draws:
    test_rate = _counts(succeeded, test) / test.sum(axis=1)
    nothing = last < 0
    return Draws(
        last=last,
        test_rate=np.where(nothing, np.nan, test_rate[last, np.arange(len(last))]),
        all_rate=np.where(nothing, np.nan, succeeded.mean(axis=1)[last]),
    )
