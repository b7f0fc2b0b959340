"""Compare two saved routers on the same prompts of an outcome table, with paired intervals and a verdict."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from router_model.charts import IntervalRow, intervals
from router_model.charts.drawing import Drawing
from router_model.errors import TableError
from router_model.features.featuriser import featurise
from router_model.goal import OWN_TRADEOFF, Goal
from router_model.prediction.bars import succeeds
from router_model.prediction_table import PredictionTable
from router_model.router import Router
from router_model.saved.artifact import hash_of
from router_model.summary import Summarised, Summary
from router_model.training.measuring.evaluate import eligible_models, learned_from, sweep
from router_model.training.measuring.moves import main_move
from router_model.training.measuring.paired import Resampling, independent_groups, paired_difference
from router_model.training.measuring.verdict import MARGIN, Difference, Estimate, Verdict, comparison_verdict
from router_model.training.metrics import interval
from router_model.training.metrics.bootstrap import bootstrap_frontier
from router_model.training.table.costs import mean_cost_usd, realised_costs
from router_model.training.table.frames import Table
from router_model.training.table.outcomes import Outcomes, read_outcomes
from router_model.wording import percent, usd

_FAR = 0.5  # of the cost; a difference as large would leave no room for the others
Float64Array = npt.NDArray[np.float64]
Choices = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class ComparedRouter:
    """What one of the two routers brought.

    Attributes
    ----------
    rule : how it chose, in words
    quality, success, cost_usd : means over prompts
    aiq : mean height of its frontier over the range of costs of all single models of both routers
    shares : model -> share of prompts routed to it
    """

    rule: str
    quality: float
    success: float
    cost_usd: float
    aiq: float
    shares: dict[str, float]

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON types."""
        return {name: getattr(self, name) for name in ("rule", "quality", "success", "cost_usd", "aiq", "shares")}


@dataclass(frozen=True, slots=True, repr=False)
class Comparison(Summarised):
    """Two routers on the same prompts; differences are the second minus the first.

    Attributes
    ----------
    n_prompts, n_independent : prompts that are compared, and how many conversations and texts they belong to
    n_seen : prompts among them that either router was trained on, or on near duplicates of
    n_left_out, n_incomplete : left out because either was trained on them, or because an outcome is missing
    cost_sources : numbers of (prompt, model) pairs with a cost that is ``billed``, ``listed`` or ``assumed``
    quality_bar : of the successes of both
    first, second : ComparedRouter
    difference : in quality and cost
    success, cost_usd, aiq : differences with their 95 % intervals
    share_different : share of prompts that the two send to different models
    main_move : (from, to, share) of the most frequent change of the model, or None if nothing changes
    verdict : Verdict
    """

    n_prompts: int
    n_independent: int
    n_seen: int
    n_left_out: int
    n_incomplete: int
    cost_sources: dict[str, int]
    quality_bar: float
    first: ComparedRouter
    second: ComparedRouter
    difference: Difference
    success: Estimate
    cost_usd: Estimate
    aiq: Estimate
    share_different: float
    main_move: tuple[str, str, float] | None
    verdict: Verdict

    def summary(self) -> Summary:
        """Return the verdict, and the two routers beside each other."""
        first, second, by = self.first, self.second, self.difference
        rows = [
            ("quality", f"{first.quality:.3f}", f"{second.quality:.3f}", _interval(by.quality, 1, ".3f")),
            ("success", f"{first.success:.3f}", f"{second.success:.3f}", _interval(self.success, 1, ".3f")),
            (
                "$ per 1k",
                usd(1000 * first.cost_usd),
                usd(1000 * second.cost_usd),
                _interval(self.cost_usd, 1000, ".3g"),
            ),
            ("AIQ", f"{first.aiq:.4f}", f"{second.aiq:.4f}", _interval(self.aiq, 1, ".4f")),
        ]
        return Summary(
            f"Comparison on {self.n_prompts:,} prompts: {self.verdict.sentence}",
            ("", "first", "second", "second - first (95 %)"),
            rows,
            [f"They choose different models for {percent(self.share_different)} of the prompts."],
        )

    def plot(self, *, width: int = 640) -> Drawing:
        """Draw the differences with their 95 % intervals; needs the extra ``report``."""
        shown = (
            ("quality, points", self.difference.quality),
            ("success, points", self.success),
            ("cost saved, %", self.difference.saving),
        )
        return Drawing(
            intervals(
                [IntervalRow(name, 100 * one.value, 100 * one.low, 100 * one.high) for name, one in shown],
                axis="second - first",
                description="Differences between the two routers in quality, success and cost",
                reach=(-100.0, 100.0) if abs(self.difference.saving.value) > _FAR else None,
                write="{:+.1f}".format,
                width=width,
            )
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the comparison as plain JSON types."""
        counts = ("n_prompts", "n_independent", "n_seen", "n_left_out", "n_incomplete", "cost_sources", "quality_bar")
        return {
            **{name: getattr(self, name) for name in counts},
            "first": self.first.as_dict(),
            "second": self.second.as_dict(),
            "second_minus_first": {
                "quality": self.difference.quality.as_dict(),
                "saving": self.difference.saving.as_dict(),
                "success": self.success.as_dict(),
                "cost_usd": self.cost_usd.as_dict(),
                "aiq": self.aiq.as_dict(),
            },
            "share_different": self.share_different,
            "main_move": self.main_move,
            "verdict": self.verdict.as_dict(),
        }


@dataclass(frozen=True, slots=True)
class _Decided:
    """The decisions of one router, as columns of the models of both."""

    rule: str
    chosen: Choices
    frontier: Choices  # shape (n_configurations, n_prompts)
    expected_cost_usd: Float64Array  # NaN for models that the router does not know


def compare(
    first: Router | str | Path,
    second: Router | str | Path,
    table: Table,
    *,
    goal: Goal = OWN_TRADEOFF,
    include_seen: bool = False,
    margin: float = MARGIN,
) -> Comparison:
    """Compare two routers on the prompts with an outcome of every model of both.

    Parameters
    ----------
    first, second : routers or their folders; they may have different models, settings and encoders
    table : path of an outcome table, a frame of polars, pandas or Arrow, or `Outcomes`
        It must have every graded model of both; announced ones are left out of what they decide.
    goal : of both routers; default: the operating point of each
    include_seen : bool
        Count prompts that either was trained on, or on near duplicates of, too.
    margin : loss of quality that does not matter for the verdict

    Raises
    ------
    TableError
        If a model is missing or no prompt is left to count.
    """
    first, second = Router.of(first).graded_only(), Router.of(second).graded_only()
    models = tuple(dict.fromkeys((*first.models, *second.models)))
    outcomes = read_outcomes(table).select_models(models)
    seen = learned_from(first, outcomes.prompts) | learned_from(second, outcomes.prompts)
    complete = ~np.isnan(outcomes.quality).any(axis=1)
    rows = np.flatnonzero(complete if include_seen else complete & ~seen)
    n_left_out = 0 if include_seen else int(seen.sum())
    if not len(rows):
        remedy = " ('compare --include-seen' counts them)" if n_left_out else ""
        raise TableError(
            f"no prompt left to compare: one of the routers was trained on {n_left_out} of {len(outcomes)}{remedy}, "
            f"and {int((~complete).sum())} lack an outcome of one of the {len(models)} models of both; "
            "give newer outcomes"
        )
    kept, bar = outcomes.take(rows), first.quality_bar(goal)
    decided = [_decide(router, kept, goal) for router in (first, second)]
    cost, sources = _costs(kept, first, second, decided)
    texts = [hash_of(prompt) for prompt in kept.prompts]
    drawn = Resampling.of(independent_groups(kept.split_keys, texts))
    of_first, of_second = (_compared(each, kept, cost, drawn, bar) for each in decided)
    difference = paired_difference(decided[1].chosen, decided[0].chosen, kept.quality, cost, drawn)
    success = succeeds(kept.quality, bar).astype(np.float64)
    return Comparison(
        n_prompts=len(kept),
        n_independent=drawn.n_groups,
        n_seen=int(seen[rows].sum()),
        n_left_out=n_left_out,
        n_incomplete=len(outcomes) - n_left_out - len(rows),
        cost_sources=sources,
        quality_bar=bar,
        first=of_first[0],
        second=of_second[0],
        difference=difference,
        success=paired_difference(decided[1].chosen, decided[0].chosen, success, cost, drawn).quality,
        cost_usd=_cost_difference(decided[1].chosen, decided[0].chosen, cost, drawn),
        aiq=_aiq_difference(of_first, of_second),
        share_different=float((decided[0].chosen != decided[1].chosen).mean()),
        main_move=main_move(*(np.array(kept.models)[each.chosen] for each in decided)),
        verdict=comparison_verdict(difference, margin=margin),
    )


def _decide(router: Router, outcomes: Outcomes, goal: Goal) -> _Decided:
    features = featurise(outcomes.prompts, router.encoder)
    table = router.predict_features(features, router.quality_bar(goal))
    rule = router.rule(goal)
    own = outcomes.select_models(router.models)
    chosen = router.rank(rule, table, eligible_models(router, own, features, table))[:, 0]
    columns = np.array([outcomes.models.index(model) for model in router.models])
    return _Decided(
        rule=rule.in_words(),
        chosen=columns[chosen],
        frontier=columns[sweep(table.mean_quality, table.expected_cost_usd)],
        expected_cost_usd=_spread(table, columns, len(outcomes.models)),
    )


def _spread(table: PredictionTable, columns: Choices, n_models: int) -> Float64Array:
    spread = np.full((len(table.expected_cost_usd), n_models), np.nan)
    spread[:, columns] = table.expected_cost_usd
    return spread


def _costs(
    outcomes: Outcomes, first: Router, second: Router, decided: Sequence[_Decided]
) -> tuple[Float64Array, dict[str, int]]:
    """Return one cost for each pair, the same for both routers, and where the costs come from.

    What the table does not bill has the list price of the second router's catalog, or of the first's for a model that
    the second does not know. What has no tokens either is expected, as by `evaluate`.
    """
    of_second = [model in second.models for model in outcomes.models]
    listed = [
        realised_costs(outcomes.select_models(router.models), router.catalog)[:, router.models.index(model)]
        for model, known in zip(outcomes.models, of_second, strict=True)
        for router in (second if known else first,)
    ]
    expected = np.where(of_second, decided[1].expected_cost_usd, decided[0].expected_cost_usd)
    cost = np.column_stack(listed)
    n_billed, n_assumed = int((~np.isnan(outcomes.cost_usd)).sum()), int(np.isnan(cost).sum())
    sources = {"billed": n_billed, "listed": cost.size - n_billed - n_assumed, "assumed": n_assumed}
    return np.where(np.isnan(cost), expected, cost), sources


def _compared(
    decided: _Decided, outcomes: Outcomes, cost: Float64Array, drawn: Resampling, bar: float
) -> tuple[ComparedRouter, Float64Array]:
    """Return what a router brought, and its AIQ in every resample."""
    rows = np.arange(len(outcomes))
    quality = outcomes.quality[rows, decided.chosen]
    plain = np.ones((1, len(outcomes)), dtype=np.float32)
    of_sample, resampled = (
        bootstrap_frontier(weights, decided.frontier, outcomes.quality, cost)["aiq"]
        for weights in (plain, drawn.weights)
    )
    brought = ComparedRouter(
        rule=decided.rule,
        quality=float(quality.mean()),
        success=float(succeeds(quality, bar).mean()),
        cost_usd=mean_cost_usd(cost[rows, decided.chosen]),
        aiq=float(of_sample[0]),
        shares={model: float((decided.chosen == column).mean()) for column, model in enumerate(outcomes.models)},
    )
    return brought, resampled


def _cost_difference(chosen: Choices, reference: Choices, cost: Float64Array, drawn: Resampling) -> Estimate:
    rows = np.arange(len(cost))
    values = cost[rows, chosen] - cost[rows, reference]
    return Estimate(float(values.mean()), *interval(drawn.means(values)[0]))


def _aiq_difference(
    first: tuple[ComparedRouter, Float64Array], second: tuple[ComparedRouter, Float64Array]
) -> Estimate:
    value = second[0].aiq - first[0].aiq
    return Estimate(value, *interval(second[1] - first[1], value))


def _interval(estimate: Estimate, scale: float, form: str) -> str:
    value, low, high = (format(scale * number, f"+{form}") for number in (estimate.value, estimate.low, estimate.high))
    return f"{value} [{low}, {high}]"
