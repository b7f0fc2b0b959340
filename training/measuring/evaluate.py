"""Evaluate a router on an outcome table: its cost, quality and savings against every single model.

Where the outcome of a model is missing, doubly robust estimates stand for it
(`router_model.training.measuring.operating_point.dr_outcomes`): the router's prediction, corrected by how far its
predictions are off where outcomes are known. Complete prompts count as they are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from router_model.errors import TableError
from router_model.features import Prompt
from router_model.features.featuriser import PromptFeatures
from router_model.features.prompt import LoggedPrompt
from router_model.goal import OWN_TRADEOFF, Goal, OwnTradeoff, read_goal
from router_model.policy import best_by_value
from router_model.prediction.bars import succeeds
from router_model.prediction_table import PredictionTable
from router_model.router import Router
from router_model.saved.artifact import hash_of
from router_model.screening.constraints import Constraints
from router_model.training.distributed.prompts import Progress, blocks, featurise_all, no_progress, predict_all
from router_model.training.measuring.calibration_check import ALL_MODELS
from router_model.training.measuring.evaluation import Decided, Evaluation, Realised, Tradeoff
from router_model.training.measuring.operating_point import (
    MAX_QUALITY_LOSS,
    best_single_model,
    dr_outcomes,
    success_values,
)
from router_model.training.measuring.paired import (
    Resampling,
    against_mix,
    against_singles,
    independent_groups,
    paired_difference,
)
from router_model.training.measuring.verdict import routing_verdict
from router_model.training.metrics import (
    Points,
    Singles,
    aiq,
    aiq_log,
    brier,
    calibration_error,
    cost_save,
    frontier_null,
    level_predictions,
    log_loss,
    mean_auc,
    perf_gain,
    realised_means,
    reliability_curve,
)
from router_model.training.metrics.prediction import Reliability
from router_model.training.near_duplicates.sketches import near_sketched
from router_model.training.table.costs import mean_cost_usd, realised_costs
from router_model.training.table.frames import Table
from router_model.training.table.outcomes import Outcomes, read_outcomes

Float64Array = npt.NDArray[np.float64]


CHEAPER_POSITIONS = (8, 9, 10)
"""Positions of the dial (`router_model.tradeoff`) that are measured beside the default, which lies at 7."""


def cheaper_goals(quality_bar: float | None = None) -> dict[int, Goal]:
    """Return what a request asks for at each of the cheaper positions."""
    return {
        position: read_goal(cost_quality_tradeoff=position, quality_bar=quality_bar) for position in CHEAPER_POSITIONS
    }


TRADEOFF_SHARES = (1.0, 0.99, 0.95)
"""Shares of the best single model's quality that an evaluation prices."""


def evaluate(
    router: Router | str | Path,
    table: Table,
    *,
    features: PromptFeatures | None = None,
    goal: Goal = OWN_TRADEOFF,
    include_seen: bool = False,
    mix: Mapping[str, float] | None = None,
    keep_decisions: bool = False,
    progress: Progress = no_progress,
) -> Evaluation:
    """Evaluate a router on a table of outcomes.

    Parameters
    ----------
    router : Router, or its folder
    table : path of an outcome table, a frame of polars, pandas or Arrow, or `Outcomes`
        It must have every graded model of the router; announced ones are left out of what it decides.
    features : of the same prompts, if already computed
    goal : instead of the artifact's operating point
    include_seen : bool
        Count prompts the router was trained on, and their near duplicates, too.
    mix : model -> share of the prompts that it gets today, by lot; see `read_mix`
    keep_decisions : give the decisions themselves, too, for reports
    progress : called with the number of prompts that are decided and of all

    Raises
    ------
    TableError
        If a model is missing or no prompt is left to count.
    """
    router = Router.of(router).graded_only()
    outcomes = read_outcomes(table).select_models(router.models)
    seen = seen_before(router, outcomes.prompts)
    near = near_seen(router, outcomes.prompts) & ~seen
    graded = ~np.isnan(outcomes.quality).all(axis=1)
    rows = np.flatnonzero(graded if include_seen else graded & ~seen & ~near)
    n_left_out, n_near_left_out = (0, 0) if include_seen else (int(seen.sum()), int(near.sum()))
    if not len(rows):
        remedy = " (--include-seen counts them)" if n_left_out + n_near_left_out else ""
        raise TableError(
            f"no prompt left to evaluate: {n_left_out + n_near_left_out} of {len(outcomes)} were trained on, or nearly"
            f"{remedy}, and {int((~graded).sum())} have no graded answer"
        )
    bar, rule = router.quality_bar(goal), router.rule(goal)
    kept = outcomes.take(rows)
    if features is not None:
        features = features.take(rows)
    elif keep_decisions:
        features = featurise_all(kept.prompts, router.encoder)
    table, eligible = _predicted(router, kept, features, bar, progress)
    cost = realised_costs(kept, router.catalog)
    realised = _Realiser.of_partial(kept, cost, table)
    chosen = router.rank(rule, table, eligible)[:, 0]
    result = _evaluation(realised, table, chosen, rule=rule.in_words())
    is_known = (seen | near)[rows]
    if is_known.any() and not is_known.all():
        fresh = np.flatnonzero(~is_known)
        unseen = _evaluation(realised.take(fresh), table.take(fresh), chosen[fresh], rule=rule.in_words())
        result = replace(result, unseen=unseen)
    texts = [hash_of(prompt) for prompt in kept.prompts]
    groups = independent_groups(kept.split_keys, texts)
    drawn = Resampling.of(groups)
    against = against_singles(chosen, kept.models, realised.quality, realised.cost, drawn)
    column = kept.models.index(result.best_single)
    best = np.full_like(chosen, column)
    cheaper = {}
    for position, asked in cheaper_goals(goal.quality_bar).items() if isinstance(goal, OwnTradeoff) else ():
        other = router.rank(router.rule(asked), table, eligible)[:, 0]
        cheaper[position] = paired_difference(other, best, realised.quality, realised.cost, drawn)
    n_billed, n_assumed = int((~np.isnan(kept.cost_usd)).sum()), int(np.isnan(cost).sum())
    arrays = realised.quality, realised.success, realised.cost
    decided = None
    if keep_decisions and features is not None:
        decided = Decided(kept, features, table, chosen, column, *arrays, groups, drawn)
    by_column = (
        {kept.models.index(model): share for model, share in read_mix(mix, kept.models).items()} if mix else None
    )
    return replace(
        result,
        decided=decided,
        against_mix=against_mix(chosen, by_column, realised.quality, realised.cost, drawn) if by_column else None,
        against=against,
        verdict=routing_verdict(against, result.best_single, margin=_margin(router)),
        cheaper=cheaper,
        n_seen=int(seen[rows].sum()),
        n_left_out=n_left_out,
        n_near=int(near[rows].sum()),
        n_near_left_out=n_near_left_out,
        n_incomplete=int(np.isnan(kept.quality).any(axis=1).sum()),
        n_ungraded=len(outcomes) - n_left_out - n_near_left_out - len(rows),
        n_without_text=int((~kept.has_text).sum()),
        cost_sources={"billed": n_billed, "listed": cost.size - n_billed - n_assumed, "assumed": n_assumed},
    )


def read_mix(mix: Mapping[str, float], models: Sequence[str]) -> dict[str, float]:
    """Return a mix of models with shares that add up to 1.

    Raises
    ------
    TableError
        If a model is not among those that were measured, or a share is not above 0.

    Examples
    --------
    >>> read_mix({"a": 3, "b": 1}, ["a", "b", "c"])
    {'a': 0.75, 'b': 0.25}
    """
    unknown = [model for model in mix if model not in models]
    if unknown or not mix:
        raise TableError(f"today's mix names {unknown or 'no model'}; expected models with outcomes: {list(models)}")
    wrong = {model: share for model, share in mix.items() if not 0 < share < np.inf}
    if wrong:
        raise TableError(f"today's mix has the shares {wrong}; expected numbers above 0")
    total = sum(mix.values())
    return {model: share / total for model, share in mix.items()}


def _margin(router: Router) -> float:
    """Return the loss of quality that the router's training accepted."""
    config = router.artifact.provenance.get("config", {})
    return float(config.get("max_quality_loss", MAX_QUALITY_LOSS))


def seen_before(router: Router, prompts: Sequence[Any]) -> npt.NDArray[np.bool_]:
    """Return which prompts the router was trained on, by the hash of their text, shape (n,)."""
    hashes = np.array([hash_of(prompt) for prompt in prompts], dtype=np.uint64)
    return np.isin(hashes, router.artifact.seen_prompts)


def near_seen(router: Router, prompts: Sequence[Any]) -> npt.NDArray[np.bool_]:
    """Return which prompts are near duplicates of training prompts, or copies, shape (n,).

    All False for an older router, which does not have sketches of its training prompts.
    """
    known = router.artifact.sketches
    return np.zeros(len(prompts), dtype=np.bool_) if known is None else near_sketched(known, prompts)


def learned_from(router: Router, prompts: Sequence[Any]) -> npt.NDArray[np.bool_]:
    """Return which prompts the router was trained on, or on near duplicates of, shape (n,)."""
    return seen_before(router, prompts) | near_seen(router, prompts)


def _predicted(
    router: Router, outcomes: Outcomes, features: PromptFeatures | None, bar: float, progress: Progress
) -> tuple[PredictionTable, npt.NDArray[np.bool_]]:
    """Return predictions for prompts, and which models could have been chosen.

    Features that are not given are computed and forgotten, a block of prompts at a time.
    """
    tables, eligible = [], []
    for rows in blocks(len(outcomes), progress):
        some = outcomes.take(rows)
        own = featurise_all(some.prompts, router.encoder) if features is None else features.take(rows)
        table = predict_all(router, own, bar)
        eligible.append(eligible_models(router, some, own, table))
        # Only decisions show intervals, and they are half of a table.
        tables.append(replace(table, p_interval=None, output_token_quantiles=None))
    return PredictionTable.concatenate(tables), np.concatenate(eligible)


def eligible_models(
    router: Router, outcomes: Outcomes, features: PromptFeatures, table: PredictionTable
) -> npt.NDArray[np.bool_]:
    """Return which models a decision could have chosen; all of them for a prompt that fits none."""
    prompts = [one.needs if isinstance(one, LoggedPrompt) else Prompt.parse(one) for one in outcomes.prompts]
    eligible = router.screen(prompts, features, table, Constraints()).eligible
    return eligible | ~eligible.any(axis=1, keepdims=True)


@dataclass(frozen=True, slots=True)
class _Realiser:
    """Looks up what chosen models brought.

    `success`, `quality` and `cost` are estimates where outcomes are missing; `known_success` is NaN there.
    """

    outcomes: Outcomes
    quality: Float64Array
    success: Float64Array
    known_success: Float64Array
    cost: Float64Array

    @classmethod
    def of_partial(cls, outcomes: Outcomes, cost: Float64Array, table: PredictionTable) -> "_Realiser":
        """Estimate what is missing; `cost` is NaN where nobody logged it."""
        met = succeeds(outcomes.quality, table.quality_bar).astype(np.float64)
        known_success = np.where(np.isnan(outcomes.quality), np.nan, met)
        estimates = (
            dr_outcomes(values, outcomes.propensity, predicted)
            for values, predicted in (
                (outcomes.quality, table.mean_quality),
                (known_success, table.p_success),
                (cost, table.expected_cost_usd),
            )
        )
        quality, success, costs = estimates
        return cls(outcomes, quality, success, known_success, costs)

    def take(self, rows: npt.NDArray[np.intp]) -> "_Realiser":
        arrays = (self.quality, self.success, self.known_success, self.cost)
        return _Realiser(self.outcomes.take(rows), *(values[rows] for values in arrays))

    def singles(self) -> Singles:
        return Singles(self.cost.mean(axis=0), self.quality.mean(axis=0))

    def of(self, label: str, chosen: npt.NDArray[np.intp], best: int, rows: npt.NDArray[np.intp]) -> Realised:
        """Average over `rows` what `chosen` (a column for each of them) brought."""
        cost = mean_cost_usd(self.cost[rows, chosen])
        reference = mean_cost_usd(self.cost[rows, best])
        return Realised(
            label=label,
            cost_usd=cost,
            quality=float(self.quality[rows, chosen].mean()),
            success=float(self.success[rows, chosen].mean()),
            saving=1 - cost / reference if reference > 0 else 0.0,
        )


def sweep(quality: npt.NDArray[np.floating], expected_cost_usd: npt.NDArray[np.floating]) -> npt.NDArray[np.int16]:
    """Return the choices along the value of quality, by expected quality less expected cost, shape (n_values, n)."""
    eligible = np.ones(quality.shape, dtype=bool)
    values = success_values(expected_cost_usd.astype(np.float64))
    chosen = np.empty((len(values), len(quality)), dtype=np.int16)  # 200 configurations of a million prompts are 0.4 GB
    for row, value in enumerate(values):
        chosen[row] = best_by_value(quality, expected_cost_usd, eligible, success_value_usd=value)
    return chosen


def cost_bias(
    expected_usd: npt.NDArray[np.floating], real_usd: npt.NDArray[np.floating], chosen: npt.NDArray[np.intp]
) -> float:
    """Return how far expected costs are off on all prompts, for the mix of models that was chosen; 0 if all are free.

    Parameters
    ----------
    expected_usd, real_usd : shape (n_prompts, n_models)
    chosen : columns, shape (n_prompts,)

    Examples
    --------
    Two models that cost 1 and 3 on every prompt. The first is expected to cost 0.5 or 1.5, by turns, and is chosen
    where it is 0.5: the chosen cost twice what was expected, but predictions are right on average.

    >>> expected, real = np.array([[0.5, 3.0], [1.5, 3.0]]), np.array([[1.0, 3.0], [1.0, 3.0]])
    >>> cost_bias(expected, real, np.array([0, 0]))
    0.0
    >>> cost_bias(expected * 1.1, real, np.array([0, 1])).__round__(3)
    0.1
    """
    rows, n_models = np.arange(len(chosen)), expected_usd.shape[1]
    of_model, real_of_model = expected_usd.sum(axis=0, dtype=np.float64), real_usd.sum(axis=0, dtype=np.float64)
    weight = np.bincount(chosen, real_usd[rows, chosen], minlength=n_models)
    counts = (weight > 0) & (real_of_model > 0)
    if not counts.any():
        return 0.0
    return float(np.average(of_model[counts] / real_of_model[counts], weights=weight[counts]) - 1)


def sweep_frontier(table: PredictionTable, cost: Float64Array, quality: Float64Array) -> Points:
    """Return the router's configurations along the value of quality, by expected quality less expected cost.

    Parameters
    ----------
    cost, quality : float64 arrays, shape (n_prompts, n_models)
        Realised.
    """
    chosen = sweep(table.mean_quality, table.expected_cost_usd)
    return Points(realised_means(chosen, cost), realised_means(chosen, quality))


def _evaluation(realised: _Realiser, table: PredictionTable, chosen: npt.NDArray[np.intp], *, rule: str) -> Evaluation:
    outcomes, models = realised.outcomes, realised.outcomes.models
    everything = np.arange(len(outcomes))
    singles = realised.singles()
    n_graded = np.count_nonzero(~np.isnan(outcomes.quality), axis=0)
    complete = n_graded.min() == len(outcomes)
    best = singles.best if complete else best_single_model(realised.quality, n_graded, outcomes.split_keys)
    each = [realised.of(model, np.full(len(outcomes), column), best, everything) for column, model in enumerate(models)]
    tasks = np.array(outcomes.tasks)
    by_task = {}
    for task in sorted({task for task in outcomes.tasks if task}):
        rows = np.flatnonzero(tasks == task)
        by_task[task] = (
            len(rows),
            realised.of("router", chosen[rows], best, rows),
            realised.of(models[best], np.full(len(rows), best), best, rows),
        )
    points = sweep_frontier(table, realised.cost, realised.quality)
    return Evaluation(
        n_prompts=len(outcomes),
        n_seen=0,
        n_left_out=0,
        n_incomplete=0,
        n_near=0,
        n_near_left_out=0,
        cost_sources={},
        quality_bar=table.quality_bar,
        rule=rule,
        router=realised.of("router", chosen, best, everything),
        expected_cost_usd=mean_cost_usd(table.expected_cost_usd[everything, chosen]),
        cost_bias=cost_bias(table.expected_cost_usd, realised.cost, chosen),
        singles=tuple(sorted(each, key=lambda single: (-single.quality, single.cost_usd))),
        best_single=models[best],
        unknown=tuple(model for model, n in zip(models, n_graded, strict=True) if not n),
        shares={model: float((chosen == column).mean()) for column, model in enumerate(models)},
        by_task=by_task,
        metrics=_metrics(table, realised, points, singles),
        reliability=_reliability(table, realised.known_success),
        frontier=points,
        tradeoffs=tuple(_tradeoff(share, points, singles, table) for share in TRADEOFF_SHARES),
    )


def _tradeoff(share: float, points: Points, singles: Singles, table: PredictionTable) -> Tradeoff:
    saving = cost_save(points, singles, share=share)
    if saving is None:
        return Tradeoff(share, None, None)
    reached = points.quality >= share * singles.quality[singles.best] - 1e-12
    cheapest = int(np.argmin(np.where(reached, points.cost_usd, np.inf)))
    return Tradeoff(share, saving, success_values(table.expected_cost_usd)[cheapest])


def _reliability(table: PredictionTable, success: Float64Array) -> dict[str, Reliability]:
    known = {ALL_MODELS: (table.p_success, success)} | {
        model: (table.p_success[:, column], success[:, column]) for column, model in enumerate(table.models)
    }
    return {name: reliability_curve(p, seen) for name, (p, seen) in known.items() if not np.isnan(seen).all()}


def _metrics(table: PredictionTable, realised: _Realiser, points: Points, singles: Singles) -> dict[str, float | None]:
    success = realised.known_success
    area = mean_auc(table.p_success, success)
    height, of_singles = aiq(points, singles), aiq(Points(singles.cost_usd, singles.quality), singles)
    uninformed = sweep(level_predictions(table.mean_quality), table.expected_cost_usd)
    return {
        "aiq": height,
        "aiq_singles": of_singles,
        "aiq_gain": height - of_singles,
        **frontier_null(uninformed, realised.quality, realised.cost),
        "aiq_log": aiq_log(points, singles),
        "perf_gain": perf_gain(points, singles),
        "cost_save": cost_save(points, singles),
        "cost_save_95": cost_save(points, singles, share=0.95),
        "auc": None if np.isnan(area) else area,
        "log_loss": log_loss(table.p_success, success),
        "brier": brier(table.p_success, success),
        "calibration_error": calibration_error(table.p_success, success),
    }
