"""The gain over single models that choices without any knowledge of quality would show: the *null* of a gain.

A frontier takes the best of many configurations on the prompts that it is measured on. So it lies above the single
models even if the choices are unrelated to quality, and more so on few prompts. It also gains by what a router knows
about costs alone. A gain should be read beside its null.

The null is estimated by permutation (Good 2005, chapter 3): the outcomes of a prompt are moved to another prompt, for
all models together, while choices and costs stay. That keeps the mean quality of each model, how models succeed
together, and all costs. It removes only the relation between choices and quality.

The choices to permute are those of a router that predicts the same quality for every prompt (`level_predictions`). A
router that was trained on shuffled labels predicts nearly that, and its gain agrees with this null (tests, `slow`). The
permuted choices of a good router would be too low a null: it trusts its predictions, so its choices lose by them once
they are wrong. They are used only for methods that choose without predictions.
"""

import numpy as np
import numpy.typing as npt

from router_model import frontier_heights as heights

Float64Array = npt.NDArray[np.float64]
Choices = npt.NDArray[np.integer]

N_PERMUTATIONS = 40
"""Permutations that are averaged: the standard error is then a sixth of the null's own spread."""


def level_predictions(predicted: npt.NDArray[np.floating]) -> Float64Array:
    """Replace each model's predictions by their mean over prompts, shape (n_prompts, n_models).

    >>> level_predictions(np.array([[0.2, 1.0], [0.4, 0.0]])).round(3).tolist()
    [[0.3, 0.5], [0.3, 0.5]]
    """
    return np.tile(predicted.mean(axis=0, dtype=np.float64), (len(predicted), 1))


def frontier_null(choices: Choices, quality: Float64Array, cost_usd: Float64Array) -> dict[str, float | None]:
    """Return the mean gains of a router over permutations of its prompts' outcomes.

    Parameters
    ----------
    choices : integer array, shape (n_configurations, n_prompts)
        The column of the chosen model.
    quality, cost_usd : shape (n_prompts, n_models)
        Realised values, all known.

    Returns
    -------
    dict
        ``aiq_null``: AIQ less that of the single models. ``perf_gain_null``: PerfGain; None if it is not defined.

    Examples
    --------
    Always choosing one model gains nothing, whatever the order of the prompts:

    >>> frontier_null(np.array([[0, 0], [1, 1]]), np.array([[0.0, 1.0], [1.0, 1.0]]), np.array([[1.0, 2.0]] * 2))
    {'aiq_null': 0.0, 'perf_gain_null': 0.0}
    """
    chosen = _distinct(choices)
    rows = np.arange(len(quality))
    rng = np.random.default_rng(0)
    qualities = np.array([realised_means(chosen, quality[rng.permutation(rows)]) for _ in range(N_PERMUTATIONS)])
    costs = np.tile(realised_means(chosen, cost_usd), (N_PERMUTATIONS, 1))
    single_costs, single_qualities = (np.tile(each.mean(axis=0), (N_PERMUTATIONS, 1)) for each in (cost_usd, quality))
    ends = heights.Ends.of(single_costs, single_qualities)
    gains = heights.hull_height(costs, qualities, ends) - heights.hull_height(single_costs, single_qualities, ends)
    ratio = float(heights.gain(qualities, ends).mean())
    return {"aiq_null": float(gains.mean()), "perf_gain_null": None if np.isnan(ratio) else ratio}


def realised_means(choices: Choices, values: Float64Array) -> Float64Array:
    """Return what each configuration brings on average, shape (n_configurations,).

    All values of all configurations at once would be gigabytes for a million prompts.

    Parameters
    ----------
    choices : integer array, shape (n_configurations, n_prompts)
    values : of all models, shape (n_prompts, n_models)

    >>> realised_means(np.array([[0, 1], [1, 1]]), np.array([[1.0, 2.0], [3.0, 5.0]])).tolist()
    [3.0, 3.5]
    """
    flat, first = values.ravel(), np.arange(len(values)) * values.shape[1]
    return np.array([flat.take(first + chosen).mean() for chosen in choices])


def _distinct(choices: Choices) -> Choices:
    """Return the different configurations in order; `np.unique` makes a type of as many fields as there are prompts."""
    return np.array([np.frombuffer(one, ">u2") for one in sorted({row.astype(">u2").tobytes() for row in choices})])
