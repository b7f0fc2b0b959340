"""Compute all metrics of a method in a trial, on the test prompts.

There are two kinds of metrics. *Best on test* metrics (``aiq`` to ``cost_save_95``) consider all configurations on the
test prompts, as papers report them. *Chosen on validation* metrics (``chosen_...``) are what a user gets: one
configuration, and the best single model to compare it with, are chosen on validation prompts and measured on test
prompts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from router_model.training.benchmark.method import MethodCard, Routed, Routing, sweep, sweep_values
from router_model.training.benchmark.results import Curve, MethodTrial, Realised
from router_model.training.benchmark.trial import Side, Trial
from router_model.training.metrics import (
    Points,
    Singles,
    aiq,
    aiq_log,
    apgr,
    arena_score,
    auc_by_model,
    brier,
    calibration_error,
    cost_save,
    cpt,
    excess_calibration_error,
    frontier_null,
    level_predictions,
    log_loss,
    log_loss_by_task,
    mean_auc,
    median_percentage_error,
    pareto_distance,
    perf_gain,
    reliability_curve,
    undominated,
)

Choices = npt.NDArray[np.intp]
Rows = npt.NDArray[np.intp]

_TOLERANCE = 1e-12
_SHARE_95 = 0.95


@dataclass(frozen=True, slots=True)
class Chosen:
    """The choices made on validation prompts.

    Attributes
    ----------
    configuration : index
    reference : column of the best single model on validation prompts
    """

    configuration: int
    reference: int


def measure(trial: Trial, routed: Routed, card: MethodCard) -> MethodTrial:
    """Measure a method in a trial.

    Parameters
    ----------
    trial : with the outcomes of its test prompts
    routed : the method's answers
    card : names the method in error messages

    Returns
    -------
    MethodTrial
        Its metric ``pareto_distance`` is None until `with_pareto_distances` has seen all methods.

    Raises
    ------
    ValueError
        If the method's answers do not fit the trial.
    """
    check_routed(trial, routed, card)
    test, routing = trial.test, routed.test
    chosen = choose(trial, routed)
    choice = routing.choices[chosen.configuration]
    everything = np.arange(len(test))
    realised = _realised(test, choice, chosen.reference, everything)
    points = configurations(test, routing)
    p = routing.p_success
    return MethodTrial(
        trial=trial.name,
        settings=dict(routed.settings),
        fit_s=routed.fit_s,
        decide_ms=1000 * routed.decide_s / len(test),
        metrics={
            **_frontier_metrics(points, single_models(test)),
            **_null(trial, routing),
            **_prediction_metrics(test, routing),
            **_two_model_metrics(test, routing, points),
            "pareto_distance": None,
            "arena_score": arena_score(realised.quality, realised.cost_usd),
            **_chosen_metrics(trial, routed),
        },
        frontier=_frontier(points),
        reliability=None if p is None else _reliability(p, test.success),
        chosen=realised,
        by_task={
            task: _realised(test, choice, chosen.reference, rows) for task, rows in _tasks(test.outcomes.tasks).items()
        },
        shares={model: float((choice == column).mean()) for column, model in enumerate(trial.models)},
        auc_by_model={} if p is None else _named(trial.models, auc_by_model(p, test.success)),
        log_loss_by_task={}
        if p is None
        else {task: _or_none(loss) for task, loss in log_loss_by_task(p, test.success, test.outcomes.tasks).items()},
    )


def configurations(side: Side, routing: Routing) -> Points:
    """Return mean cost and quality of every configuration on a side's prompts."""
    rows = np.arange(len(side))
    cost, quality = (values[rows, routing.choices].mean(axis=1) for values in (side.cost_usd, side.mean_quality))
    return Points(cost, quality)


def single_models(side: Side) -> Singles:
    """Return mean cost and quality of every model on a side's prompts.

    Sums have the same order as in `configurations`, so that always choosing one model gives exactly its means.
    """
    cost, quality = (np.ascontiguousarray(values.T).mean(axis=1) for values in (side.cost_usd, side.mean_quality))
    return Singles(cost, quality)


def choose(trial: Trial, routed: Routed, *, share: float = 1.0) -> Chosen:
    """Choose a configuration and a reference on validation prompts.

    This is the cheapest configuration with a quality of at least `share` of the best single model's, both on
    validation. If no configuration reaches it, it is the one with the highest validation quality (of equal ones, the
    cheaper).
    """
    points, singles = configurations(trial.validation, routed.validation), single_models(trial.validation)
    target = share * singles.quality[singles.best] - _TOLERANCE
    if (points.quality >= target).any():
        order = np.lexsort((-points.quality, points.cost_usd, points.quality < target))
    else:
        order = np.lexsort((points.cost_usd, -points.quality))
    return Chosen(int(order[0]), singles.best)


def with_pareto_distances(
    trial: Trial, routed: Mapping[str, Routed], measured: Mapping[str, MethodTrial]
) -> dict[str, MethodTrial]:
    """Fill in ``pareto_distance``, once all methods of a trial are known.

    Parameters
    ----------
    routed : name -> the method's answers
        The routers that form the joint frontier. Leave out methods of kind ``bound``, which would otherwise form it
        alone.
    measured : name -> result of `measure`
        Methods that are not in `routed` keep None.
    """
    points = {name: configurations(trial.test, each.test) for name, each in routed.items()}

    def filled(name: str, found: MethodTrial) -> MethodTrial:
        others = [each for other, each in points.items() if other != name]
        return replace(found, metrics={**found.metrics, "pareto_distance": pareto_distance(points[name], others)})

    return {name: filled(name, found) if name in points else found for name, found in measured.items()}


def check_routed(trial: Trial, routed: Routed, card: MethodCard) -> None:
    """Check that a method answered every prompt with a model that exists, at the same configurations on both sides.

    Raises
    ------
    ValueError
        If an answer is missing, or does not fit.
    """
    n_models, n_configurations = len(trial.models), len(routed.test.choices)
    if len(routed.validation.choices) != n_configurations:
        raise ValueError(
            f"{card.name}, {trial.name}: {len(routed.validation.choices)} configurations on validation, "
            f"{n_configurations} on test; one chosen on validation must be measurable on test"
        )
    for side, routing, prompts in (
        ("validation", routed.validation, trial.validation),
        ("test", routed.test, trial.test),
    ):
        where = f"{card.name}, {trial.name}, {side}"
        if not len(prompts):
            raise ValueError(f"{where}: no prompts; every trial needs some on each side")
        if routing.choices.shape != (n_configurations, len(prompts)) or not n_configurations:
            raise ValueError(f"{where}: choices of shape {routing.choices.shape}, expected (n, {len(prompts)}), n >= 1")
        if routing.choices.min() < 0 or routing.choices.max() >= n_models:
            raise ValueError(
                f"{where}: choices from {routing.choices.min()} to {routing.choices.max()}, "
                f"expected columns 0 to {n_models - 1}"
            )
        for name in ("p_success", "expected_cost_usd", "expected_output_tokens"):
            values = getattr(routing, name)
            if values is not None and (values.shape != (len(prompts), n_models) or np.isnan(values).any()):
                raise ValueError(
                    f"{where}: {name} of shape {values.shape} with {int(np.isnan(values).sum())} NaN, "
                    f"expected {(len(prompts), n_models)} without; give None where the method has none"
                )


def _frontier_metrics(points: Points, singles: Singles) -> dict[str, float | None]:
    height, of_singles = aiq(points, singles), aiq(Points(singles.cost_usd, singles.quality), singles)
    return {
        "aiq": height,
        "aiq_log": aiq_log(points, singles),
        "aiq_singles": of_singles,
        "aiq_gain": height - of_singles,
        "perf_gain": perf_gain(points, singles),
        "cost_save": cost_save(points, singles),
        "cost_save_95": cost_save(points, singles, share=_SHARE_95),
    }


def _null(trial: Trial, routing: Routing) -> dict[str, float | None]:
    """Return the gains that a method would show without any knowledge of quality; see `frontier_null`."""
    choices, test = routing.choices, trial.test
    if routing.p_success is not None and routing.expected_cost_usd is not None:
        choices = sweep(level_predictions(routing.p_success), routing.expected_cost_usd, sweep_values(trial))
    return frontier_null(choices, test.mean_quality, test.cost_usd)


def _prediction_metrics(test: Side, routing: Routing) -> dict[str, float | None]:
    p, success = routing.p_success, test.success
    cost, tokens = routing.expected_cost_usd, routing.expected_output_tokens
    scores = {
        "auc": mean_auc,
        "log_loss": log_loss,
        "brier": brier,
        "calibration_error": calibration_error,
        "excess_calibration_error": excess_calibration_error,
    }
    return {
        **{name: None if p is None else _or_none(score(p, success)) for name, score in scores.items()},
        "cost_error": None if cost is None else _or_none(median_percentage_error(cost, test.cost_usd)),
        "tokens_error": None
        if tokens is None
        else _or_none(median_percentage_error(tokens, test.outcomes.output_tokens)),
    }


def _two_model_metrics(test: Side, routing: Routing, points: Points) -> dict[str, float | None]:
    singles = single_models(test)
    if len(singles.quality) != 2:  # noqa: PLR2004 a weak and a strong one
        return dict.fromkeys(("apgr", "cpt_50", "cpt_80"))
    share = (routing.choices == singles.best).mean(axis=1)
    weak, strong = float(singles.quality[1 - singles.best]), float(singles.quality[singles.best])
    return {
        "apgr": apgr(share, points.quality, weak=weak, strong=strong),
        "cpt_50": cpt(share, points.quality, weak=weak, strong=strong, recovered=0.5),
        "cpt_80": cpt(share, points.quality, weak=weak, strong=strong, recovered=0.8),
    }


def _chosen_metrics(trial: Trial, routed: Routed) -> dict[str, float | None]:
    metrics = {}
    for suffix, share in (("", 1.0), ("_95", _SHARE_95)):
        chosen = choose(trial, routed, share=share)
        choice = routed.test.choices[chosen.configuration]
        realised = _realised(trial.test, choice, chosen.reference, np.arange(len(trial.test)))
        metrics[f"chosen_saving{suffix}"] = realised.saving
        metrics[f"chosen_quality_kept{suffix}"] = realised.quality_kept
    return metrics


def _realised(side: Side, choice: Choices, reference: int, rows: Rows) -> Realised:
    """Return the means over `rows` for one choice of models, compared with a single model."""
    cost = float(side.cost_usd[rows, choice[rows]].mean())
    quality = float(side.mean_quality[rows, choice[rows]].mean())
    reference_cost = float(side.cost_usd[rows, reference].mean())
    reference_quality = float(side.mean_quality[rows, reference].mean())
    return Realised(
        n_prompts=len(rows),
        cost_usd=cost,
        quality=quality,
        success=float(side.mean_success[rows, choice[rows]].mean()),
        saving=1 - cost / reference_cost if reference_cost > 0 else None,
        quality_kept=quality / reference_quality if reference_quality > 0 else None,
    )


def _tasks(tasks: list[str]) -> dict[str, Rows]:
    labels = np.array(tasks)
    return {str(task): np.flatnonzero(labels == task) for task in np.unique(labels) if task}


def _frontier(points: Points) -> Curve:
    kept = undominated(points)
    return Curve(tuple(kept.cost_usd.tolist()), tuple(kept.quality.tolist()))


def _reliability(p: npt.NDArray[np.float64], success: npt.NDArray[np.float64]) -> Curve:
    curve = reliability_curve(p, success)
    return Curve(tuple(curve.predicted.tolist()), tuple(curve.observed.tolist()), tuple(curve.n.tolist()))


def _named(models: tuple[str, ...], values: npt.NDArray[np.float64]) -> dict[str, float | None]:
    return {model: _or_none(float(value)) for model, value in zip(models, values, strict=True)}


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else value
