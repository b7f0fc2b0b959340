"""Paired differences between two ways to choose models, with intervals by conversation and text.

Prompts of one conversation, and prompts with the same text, succeed and fail together. They form one *group*, and the
bootstrap draws whole groups. Both ways are measured on the same draws, so what makes a prompt hard for both cancels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from router_model.training.measuring.design_effect import key_numbers
from router_model.training.measuring.verdict import NOTHING_SAVED, REFERENCE_IS_FREE, Difference, Estimate
from router_model.training.metrics import interval, resample_weights
from router_model.training.metrics.bootstrap import resampled_means

Float64Array = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]
Groups = npt.NDArray[np.intp]
Choices = npt.NDArray[np.intp]

_MOST_WEIGHTS = 20_000_000
"""Numbers of draws that are held in memory at once, 80 MB."""


@dataclass(frozen=True, slots=True)
class Resampling:
    """How often each prompt was drawn, in every resample of whole groups.

    Attributes
    ----------
    weights : float32 array, shape (n_resamples, n_prompts)
    n_groups : int
    """

    weights: Float32Array
    n_groups: int

    @classmethod
    def of(cls, groups: Groups, *, seed: int = 0) -> "Resampling":
        """Draw groups with replacement; `groups` has the number of each prompt's group, shape (n_prompts,).

        There are 1,000 resamples, and down to 200 if there are over 20,000 prompts, so that they fit in memory.
        """
        n_groups = int(groups.max()) + 1
        n_resamples = int(np.clip(_MOST_WEIGHTS // len(groups), 200, 1000))
        return cls(resample_weights(n_groups, n_resamples, seed=seed)[:, groups], n_groups)

    def take(self, rows: npt.NDArray[np.intp], n_groups: int) -> "Resampling":
        """Return the same draws of some prompts, which belong to so many groups."""
        return Resampling(self.weights[:, rows], n_groups)

    def means(self, *values: Float64Array) -> Float64Array:
        """Return the mean of each of k arrays over prompts in every resample, shape (k, n_resamples).

        The weights are read once for all of them, which takes most of the time.
        """
        return resampled_means(self.weights, np.column_stack(values)).T


def independent_groups(sessions: Sequence[object], texts: Sequence[object]) -> Groups:
    """Return the number of each prompt's group, shape (n,).

    Prompts that share a conversation or a text are in one group, directly or through others.

    Examples
    --------
    The first and the second prompt share a conversation, the second and the fourth a text:

    >>> independent_groups(["s", "s", "t", "u"], ["a", "b", "c", "b"]).tolist()
    [0, 0, 1, 0]
    """
    n = len(texts)
    session, text = key_numbers(sessions), key_numbers(texts)
    # A graph of prompts, sessions and texts: each prompt is joined to its session and to its text.
    of_session = n + session
    of_text = n + int(session.max()) + 1 + text
    size = int(of_text.max()) + 1
    edges = np.tile(np.arange(n), 2), np.concatenate([of_session, of_text])
    _, groups = connected_components(sp.csr_array((np.ones(2 * n), edges), shape=(size, size)), directed=False)
    return key_numbers(groups[:n].tolist())


def paired_difference(
    chosen: Choices, reference: Choices, quality: Float64Array, cost_usd: Float64Array, drawn: Resampling
) -> Difference:
    """Return what `chosen` brought minus what `reference` brought.

    Parameters
    ----------
    chosen, reference : shape (n_prompts,)
        Columns of the chosen models.
    quality, cost_usd : shape (n_prompts, n_models)
        Realised; known for every chosen model.
    drawn : Resampling
    """
    ours, others = (_brought(columns, quality, cost_usd) for columns in (chosen, reference))
    return _difference(ours, others, chosen != reference, drawn, drawn.means(*ours, *others))


def _brought(columns: Choices, quality: Float64Array, cost_usd: Float64Array) -> tuple[Float64Array, Float64Array]:
    rows = np.arange(len(quality))
    return quality[rows, columns], cost_usd[rows, columns]


def against_mix(
    chosen: Choices, mix: Mapping[int, float], quality: Float64Array, cost_usd: Float64Array, drawn: Resampling
) -> Difference:
    """Return what `chosen` brought minus what a mix of models brings that gets each prompt by lot.

    Parameters
    ----------
    mix : column -> share of the prompts; shares add up to 1
    chosen, quality, cost_usd, drawn : see `paired_difference`

    Examples
    --------
    Half of the prompts go to each of two models, which cost 1 and 3; the cheap one is as good on the first prompt only:

    >>> drawn = Resampling.of(np.arange(2))
    >>> found = against_mix(np.array([0, 1]), {0: 0.5, 1: 0.5}, np.array([[1.0, 1.0], [0.0, 1.0]]),
    ...                     np.array([[1.0, 3.0], [1.0, 3.0]]), drawn)
    >>> found.quality.value, found.saving.value
    (0.25, 0.0)
    """
    columns, shares = list(mix), np.array(list(mix.values()))
    by_lot = quality[:, columns] @ shares, cost_usd[:, columns] @ shares
    differs = np.full(len(quality), True) if len(columns) > 1 else chosen != columns[0]
    brought = _brought(chosen, quality, cost_usd)
    return _difference(brought, by_lot, differs, drawn, drawn.means(*brought, *by_lot))


def _difference(
    ours: tuple[Float64Array, Float64Array],
    others: tuple[Float64Array, Float64Array],
    differs: npt.NDArray[np.bool_],
    drawn: Resampling,
    means: Float64Array,
) -> Difference:
    """Return the difference of two ways, from their qualities and costs on each prompt.

    Parameters
    ----------
    means : shape (4, n_resamples)
        Mean quality and cost of ours, then of the other way, in every resample.
    """
    quality, saved = ours[0] - others[0], others[1] - ours[1]
    return Difference(
        quality=_quality_difference(quality, differs, means[0] - means[2], drawn.n_groups),
        saving=_saving(ours[1], others[1], means[1], means[3]),
        n_prompts=len(quality),
        n_independent=drawn.n_groups,
        same_choices=not differs.any(),
        saved_usd=Estimate(float(saved.mean()), *interval(means[3] - means[1])) if saved.any() else NOTHING_SAVED,
    )


def against_singles(
    chosen: Choices, models: Sequence[str], quality: Float64Array, cost_usd: Float64Array, drawn: Resampling
) -> Mapping[str, Difference]:
    """Return a router's `paired_difference` to each model on every prompt, for `verdict.routing_verdict`."""
    ours, n_models = _brought(chosen, quality, cost_usd), len(models)
    means = drawn.means(*ours, *quality.T, *cost_usd.T)
    found = {}
    for column, model in enumerate(models):
        single = quality[:, column], cost_usd[:, column]
        of_both = means[[0, 1, 2 + column, 2 + n_models + column]]
        found[model] = _difference(ours, single, chosen != column, drawn, of_both)
    return found


def _quality_difference(
    values: Float64Array, differs: npt.NDArray[np.bool_], resampled: Float64Array, n_groups: int
) -> Estimate:
    """Return the mean difference with its interval, which is never narrower than what so few prompts can show.

    If both succeeded or failed alike on all n groups, every resample is 0. A difference on up to 3 groups in n is then
    still possible, at 95 % (the rule of three; Hanley & Lippman-Hand 1983), among prompts with different choices.
    """
    value = float(values.mean())
    if not values.any():
        possible = min(3 / n_groups, float(differs.mean()))
        return Estimate(0.0, 0.0 - possible, possible)  # not -0.0
    return Estimate(value, *interval(resampled))


def _saving(cost: Float64Array, reference: Float64Array, mean_cost: Float64Array, below: Float64Array) -> Estimate:
    if not reference.sum():
        return REFERENCE_IS_FREE if cost.sum() else NOTHING_SAVED
    if np.array_equal(cost, reference):
        return NOTHING_SAVED
    resamples = 1 - np.divide(mean_cost, below, out=np.full(len(below), np.nan), where=below > 0)
    return Estimate(1 - float(cost.sum() / reference.sum()), *interval(resamples))
