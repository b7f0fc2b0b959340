"""Confidence intervals for the figures of a benchmark, by a paired bootstrap over prompts.

Prompts are drawn once for the whole benchmark (`PromptWeights`). A resample of a metric is its mean over trials, each
with the same draw. So the interval of a mean over seeds takes into account that the seeds share some of their test
prompts. In the same way, the interval of a difference takes into account that both methods answered the same prompts.
Methods are not trained again for a resample. So the intervals cover the choice of test prompts, and not the choice of
training prompts.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from router_model.training.benchmark.measure import choose
from router_model.training.benchmark.method import MethodCard, Routed
from router_model.training.benchmark.results import Interval, MethodResult, MethodTrial
from router_model.training.benchmark.trial import Side, Trial
from router_model.training.metrics import bootstrap_metrics, bootstrap_realised, interval, resample_weights

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
Resamples = Mapping[str, Float64Array]

DIFFERENCES = ("aiq", "aiq_log", "log_loss", "auc", "brier", "chosen_saving", "chosen_quality_kept")
"""The metrics in which our method is compared with others."""

_JUMPING = ("cost_save", "cost_save_95")
"""The metrics with plain percentile intervals; see `router_model.training.metrics.interval`."""


@dataclass(frozen=True, slots=True)
class PromptWeights:
    """How often each prompt was drawn, in every resample.

    Attributes
    ----------
    position : split key -> column of `weights`
        The key is a prompt's id or, if it has one, its conversation, so that turns of a conversation are drawn
        together.
    weights : float32 array, shape (n_resamples, n_keys)
    """

    position: Mapping[str, int]
    weights: Float32Array

    @classmethod
    def draw(cls, split_keys: Iterable[str], *, n_resamples: int = 1000, seed: int = 0) -> "PromptWeights":
        """Draw from all prompts of a table (or all that are in a test split), given by `Outcomes.split_keys`."""
        position = {key: column for column, key in enumerate(dict.fromkeys(split_keys))}
        return cls(position, resample_weights(len(position), n_resamples, seed=seed))

    def of(self, side: Side) -> Float32Array:
        """Return the weights of a side's prompts, shape (n_resamples, n)."""
        return self.weights.take([self.position[key] for key in side.outcomes.split_keys], axis=1)


@dataclass(frozen=True, slots=True)
class Run:
    """A method over all trials, with its resampled metrics.

    Attributes
    ----------
    card : MethodCard
    trials : results of `measure`, one for each trial
    resamples : results of `resample`, in the same order
    """

    card: MethodCard
    trials: Sequence[MethodTrial]
    resamples: Sequence[Resamples]


def resample(weights: PromptWeights, trial: Trial, routed: Routed) -> dict[str, Float64Array]:
    """Return a method's metrics in a trial in every resample, each of shape (n_resamples,).

    The names are those of `measure`. NaN if a metric is not defined or not reached.
    """
    drawn, test, routing = weights.of(trial.test), trial.test, routed.test
    metrics = bootstrap_metrics(
        drawn, routing.choices, test.mean_quality, test.cost_usd, p_success=routing.p_success, success=test.success
    )
    for suffix, share in (("", 1.0), ("_95", 0.95)):
        chosen = choose(trial, routed, share=share)
        metrics[f"chosen_saving{suffix}"], metrics[f"chosen_quality_kept{suffix}"] = bootstrap_realised(
            drawn, routing.choices[chosen.configuration], chosen.reference, test.mean_quality, test.cost_usd
        )
    return metrics


def method_results(runs: Sequence[Run], *, ours: str = "ours") -> tuple[MethodResult, ...]:
    """Return methods with their intervals, and with the differences from the method named `ours`."""
    reference = next((run for run in runs if run.card.name == ours), None)
    return tuple(
        MethodResult(
            name=run.card.name,
            kind=run.card.kind,
            origin=run.card.origin,
            knob=run.card.knob,
            trials=tuple(run.trials),
            metrics=metric_intervals(run),
            ours_minus={} if reference is None or run is reference else differences(reference, run),
        )
        for run in runs
    )


def metric_intervals(run: Run) -> dict[str, Interval]:
    """Return every metric of a method: the mean over the trials that have it and, if it was resampled, its interval.

    If some trials of a resample have no value, the resample is the mean of the others. `Interval.reached` is the share
    of trials with a value.
    """
    names = dict.fromkeys(name for trial in run.trials for name in trial.metrics)
    return {
        name: _interval(
            [trial.metrics.get(name) for trial in run.trials],
            [each[name] for each in run.resamples if name in each],
            corrected=name not in _JUMPING,
        )
        for name in names
    }


def differences(ours: Run, other: Run) -> dict[str, Interval]:
    """Return ours minus another method in each of `DIFFERENCES`, paired by trial and resample.

    Differences are means over the trials that both have. A metric that one of them never has is left out.
    """
    mine, theirs = _by_trial(ours), _by_trial(other)
    common = [trial for trial in mine if trial in theirs]
    found = {}
    for name in DIFFERENCES:
        pairs = [(mine[trial], theirs[trial]) for trial in common]
        values = [_minus(a.metrics.get(name), b.metrics.get(name)) for (a, _), (b, _) in pairs]
        resamples = [a[name] - b[name] for (_, a), (_, b) in pairs if name in a and name in b]
        if any(value is not None for value in values):
            found[name] = _interval(values, resamples)
    return found


def _by_trial(run: Run) -> dict[str, tuple[MethodTrial, Resamples]]:
    return {trial.trial: (trial, each) for trial, each in zip(run.trials, run.resamples, strict=True)}


def _interval(values: Sequence[float | None], resamples: Sequence[Float64Array], *, corrected: bool = True) -> Interval:
    """Average over trials, in the sample and in every resample."""
    known = [value for value in values if value is not None]
    value = float(np.mean(known)) if known else None
    if not resamples:
        return Interval(value, n_trials=len(known), reached=float(bool(known)))
    drawn = np.array(resamples)
    reached = ~np.isnan(drawn)
    share = float(reached.mean())
    if value is None or not share:
        return Interval(value, n_trials=len(known), reached=share)
    n_reached = reached.sum(axis=0)
    means = np.where(reached, drawn, 0).sum(axis=0)[n_reached > 0] / n_reached[n_reached > 0]
    low, high = interval(means, value if corrected else None)
    return Interval(value, low, high, n_trials=len(known), reached=share)


def _minus(ours: float | None, other: float | None) -> float | None:
    return None if ours is None or other is None else ours - other
