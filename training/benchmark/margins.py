"""Compare methods on unseen tasks with a random mix of single models: the method's AIQ minus that of the models' hull.

AIQ is the mean quality over the range of costs; the hull is the best that fixed mixes of single models reach. A method
with a margin below 0 is worse than such a mix. A router for production should not be.
"""

from collections.abc import Mapping
from statistics import fmean

from router_model.training.benchmark.results import MethodResult, Results
from router_model.training.benchmark.verdicts import LEARNED_KINDS, ours

LEFT_OUT = " left out"
"""The end of the name of a trial that tests on a task left out of training."""


def is_shift(results: Results) -> bool:
    """Return whether each trial leaves a task out, instead of using a seed."""
    return bool(results.trials) and all(trial.name.endswith(LEFT_OUT) for trial in results.trials)


def margins_of(method: MethodResult) -> dict[str, float]:
    """Return trial -> AIQ minus the AIQ of the single models' hull, where both are known."""
    return {
        trial.trial: value - line
        for trial in method.trials
        if (value := trial.metrics.get("aiq")) is not None and (line := trial.metrics.get("aiq_singles")) is not None
    }


def null_of(method: MethodResult) -> float | None:
    """Return the mean margin that would show without any knowledge of quality; None if it was not measured."""
    nulls = [null for trial in method.trials if (null := trial.metrics.get("aiq_null")) is not None]
    return fmean(nulls) if nulls else None


def by_margin(results: Results) -> list[tuple[MethodResult, Mapping[str, float]]]:
    """Return the learned methods that have margins, with these, the largest mean first."""
    found = [(method, margins_of(method)) for method in results.methods if method.kind in LEARNED_KINDS]
    return sorted([pair for pair in found if pair[1]], key=lambda pair: -fmean(pair[1].values()))


def shift_summary(results: Results) -> list[str]:
    """Say in sentences which method has the largest margin, and on which tasks ours is below the static mix."""
    found, reference = by_margin(results), ours(results)
    said = []
    for place, (method, margins) in enumerate(found):
        if place and method is not reference:
            continue
        null = null_of(method)
        beside = "" if null is None else f" (null {null:+.4f})"
        below = sorted((name for name in margins if margins[name] < 0), key=lambda name: margins[name])
        where = f", below it on {len(below)} ({'; '.join(below)})" if below else ", never below it"
        said.append(
            f"Tasks never seen: {method.name} is number {place + 1} of {len(found)} learned methods, on average "
            f"{fmean(margins.values()):+.4f} AIQ{beside} from the static mix of single models over {len(margins)} tasks"
            f"{where}."
        )
    return said
