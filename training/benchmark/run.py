"""Run every method on every trial, and measure what it chose."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from router_model.training.benchmark.intervals import PromptWeights, Resamples, Run, method_results, resample
from router_model.training.benchmark.measure import choose, measure, single_models, with_pareto_distances
from router_model.training.benchmark.method import Method, MethodCard, MethodUnavailableError, Routed
from router_model.training.benchmark.results import MethodResult, MethodTrial, SingleModel, TrialInfo
from router_model.training.benchmark.reworded import Reworded
from router_model.training.benchmark.trial import Trial

Advance = Callable[[str, str, str], None]
"""Called with the trial, the method and the step that the method has just finished."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The results of running methods over trials; see `Results` for the meaning of each part."""

    trials: tuple[TrialInfo, ...]
    methods: tuple[MethodResult, ...]
    not_run: dict[str, str]


@dataclass(slots=True)
class _Progress:
    """The progress of one method."""

    card: MethodCard
    trials: list[MethodTrial] = field(default_factory=list)
    resamples: list[Resamples] = field(default_factory=list)


def run_methods(
    trials: Iterable[Trial], methods: Sequence[Method], weights: PromptWeights, *, advance: Advance
) -> Measured:
    """Run every method on every trial.

    A method that cannot run in one trial is left out of all trials, with the reason. Only methods of kind ``bound`` see
    the outcomes of test prompts.

    Parameters
    ----------
    weights : drawn from the prompts of all test sides
    """
    progress = {method.card.name: _Progress(method.card) for method in methods}
    not_run: dict[str, str] = {}
    infos = []
    for trial in trials:
        infos.append(_info(trial))
        reworded = Reworded.of(trial)
        frontiers: dict[str, Routed] = {}
        measured: dict[str, MethodTrial] = {}
        for method in methods:
            name = method.card.name
            if name in not_run:
                continue
            try:
                routed, found = _run(method, trial, reworded, partial(advance, trial.name, name))
            except MethodUnavailableError as exc:
                not_run[name] = str(exc)
                continue
            measured[name] = found
            if method.card.kind != "bound":
                frontiers[name] = routed
            progress[name].resamples.append(resample(weights, trial, routed))
            advance(trial.name, name, "measured")
        for name, found in with_pareto_distances(trial, frontiers, measured).items():
            progress[name].trials.append(found)
    runs = [Run(each.card, each.trials, each.resamples) for name, each in progress.items() if name not in not_run]
    return Measured(tuple(infos), method_results(runs), not_run)


def _run(
    method: Method, trial: Trial, reworded: Reworded, advance: Callable[[str], None]
) -> tuple[Routed, MethodTrial]:
    """Run a method on a trial and measure its answers."""
    if method.card.kind == "bound":
        routed = method.route(trial, advance)
        return routed, measure(trial, routed, method.card)
    routed, copies = reworded.separate(method.route(reworded.trial, advance))
    found = measure(trial, routed, method.card)
    flips = reworded.robustness(routed.test, copies, choose(trial, routed).configuration)
    return routed, replace(found, metrics={**found.metrics, "robustness": flips})


def _info(trial: Trial) -> TrialInfo:
    singles, success = single_models(trial.test), trial.test.mean_success.mean(axis=0)
    each = [
        SingleModel(model, float(singles.cost_usd[column]), float(singles.quality[column]), float(success[column]))
        for column, model in enumerate(trial.models)
    ]
    ranked = sorted(each, key=lambda single: (-single.quality, single.cost_usd))
    return TrialInfo(trial.name, len(trial.train), len(trial.validation), len(trial.test), tuple(ranked))
