"""What `router_model.training.measuring.evaluate` measured of a router on a table, and how it shows itself."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from router_model.charts import (
    CostCurve,
    CostPoint,
    IntervalRow,
    frontier,
    intervals,
    random_mix,
    shares,
)
from router_model.charts.drawing import Drawing
from router_model.features.featuriser import PromptFeatures
from router_model.prediction_table import PredictionTable
from router_model.saving import saving_cell
from router_model.summary import Summarised, Summary
from router_model.training.measuring.calibration_check import ALL_MODELS, CalibrationCheck
from router_model.training.measuring.paired import Resampling
from router_model.training.measuring.verdict import Difference, Verdict
from router_model.training.metrics import Points
from router_model.training.metrics.prediction import Reliability
from router_model.training.table.outcomes import Outcomes
from router_model.wording import percent, usd

if TYPE_CHECKING:
    import altair as alt

Float64Array = npt.NDArray[np.float64]
Picture = Literal["frontier", "tasks", "shares", "reliability"]

_TASKS_DRAWN = 15


@dataclass(frozen=True, slots=True)
class Realised:
    """What a way to choose models would have brought on n prompts.

    Attributes
    ----------
    label : str
    cost_usd, quality, success : float
        Means over prompts; success is the share that met the quality bar.
    saving : float
        1 - cost over the best single model's; negative where dearer.
    """

    label: str
    cost_usd: float
    quality: float
    success: float
    saving: float


@dataclass(frozen=True, slots=True)
class Tradeoff:
    """The cheapest setting that kept a share of the best single model's quality, in hindsight.

    Attributes
    ----------
    share : float
        Of the best single model's mean quality.
    saving : float or None
        Of its cost; None where no setting reached the share.
    quality_value_usd : float or None
        The setting.
    """

    share: float
    saving: float | None
    quality_value_usd: float | None


@dataclass(frozen=True, slots=True)
class Decided:
    """What a router decided on n prompts, and what all models brought.

    Attributes
    ----------
    outcomes : Outcomes
    features : of the prompts
    table : the router's predictions
    chosen : columns of the chosen models, shape (n,)
    best : column of the best single model
    quality, success, cost_usd : shape (n, n_models)
        Estimated where they are not known.
    groups : number of each prompt's group of conversation and text, shape (n,)
    drawn : Resampling
    """

    outcomes: Outcomes
    features: PromptFeatures
    table: PredictionTable
    chosen: npt.NDArray[np.intp]
    best: int
    quality: Float64Array
    success: Float64Array
    cost_usd: Float64Array
    groups: npt.NDArray[np.intp]
    drawn: Resampling


@dataclass(frozen=True, slots=True, repr=False)
class TaskLosses(Summarised):
    """What the router loses on each task against the best single model, in quality.

    Attributes
    ----------
    best_single : str
    by_task : task -> (n_prompts, router, best single model)
    """

    best_single: str
    by_task: Mapping[str, tuple[int, Realised, Realised]]

    @property
    def lost(self) -> dict[str, float]:
        """Task -> difference in quality times prompts: about the number of good answers lost; the most first."""
        found = {task: n * (best.quality - router.quality) for task, (n, router, best) in self.by_task.items()}
        return {task: answers for task, answers in sorted(found.items(), key=lambda item: -item[1]) if answers > 0}

    def summary(self) -> Summary:
        """Return the tasks that lose."""
        rows = [
            (
                task,
                f"{n:,}",
                f"{router.quality:.3f}",
                f"{best.quality:.3f}",
                f"{answers:.1f}",
                saving_cell(router.saving),
            )
            for task, answers in self.lost.items()
            for n, router, best in [self.by_task[task]]
        ]
        if not rows:
            return Summary(f"No task loses against {self.best_single}" if self.by_task else "The table has no tasks")
        task, n, router, best, *_ = rows[0]
        titles = ("task", "prompts", "router", "best single", "answers lost", "cost saved")
        return Summary(
            f"Most is lost on {task}: {router} instead of {best} with {self.best_single}, {n} prompts", titles, rows
        )


@dataclass(frozen=True, slots=True, repr=False)
class Evaluation(Summarised):
    """A router on a table.

    Attributes
    ----------
    n_prompts, n_seen, n_near, n_left_out, n_near_left_out, n_incomplete, n_ungraded, n_without_text : int
        Prompts counted; of these, prompts whose text the router was trained on, and near duplicates of such prompts;
        left out because the router was trained on them, or on a near duplicate; counted with an outcome of some
        model estimated, because it is missing; left out because no outcome is known.
    unknown : models without any known outcome on these prompts
        Their figures are the router's own expectation, which proves nothing.
    unseen : Evaluation or None
        Of the counted prompts, on those that are neither; None if this is the same.
    against : model -> Difference
        The router minus this model on every prompt, with intervals by conversation and text.
    verdict : Verdict or None
        Whether routing pays, in words; None in `unseen`.
    cheaper : position of the dial -> Difference
        What cheaper settings, which a request asks for by name, bring against the best single model.
    against_mix : Difference or None
        The router minus a mix of models that gets each prompt by lot, if one was given.
    decided : Decided or None
        The decisions themselves, if they were asked for.
    cost_sources : where the counted costs come from
        Numbers of (prompt, model) pairs ``billed`` in the table, ``listed`` (its tokens at list prices) and
        ``assumed`` (the router's own expectation, which proves nothing).
    quality_bar : float
    rule : str
        How models were chosen, in words.
    router : Realised
        At the artifact's operating point, or the one asked for.
    expected_cost_usd : what the router expected the chosen models to cost, mean over prompts
    cost_bias : float
        Expected over real cost of the same mix of models on all prompts, minus 1: how far predicted costs are off where
        nothing is selected. The rule prefers models whose cost is predicted too low for a prompt, so the expected cost
        of the chosen is lower than that (the winner's curse; Smith and Winkler 2006).
    singles : one a model, best first
    best_single : str
    shares : model -> share of prompts routed to it
    by_task : task -> (n_prompts, router, best single model overall)
    metrics : prediction and frontier metrics by name; None where one is not defined
    frontier : the router over all values of quality (of right-or-wrong outcomes: of a success)
    tradeoffs : what could have been saved for how much quality, chosen on the same prompts
    reliability : of all models together (`ALL_MODELS`), and of each model
        Predicted probabilities of success against observed rates, where outcomes are known.
    """

    n_prompts: int
    n_seen: int
    n_left_out: int
    n_incomplete: int
    n_near: int
    n_near_left_out: int
    cost_sources: dict[str, int]
    quality_bar: float
    rule: str
    router: Realised
    expected_cost_usd: float
    cost_bias: float
    singles: tuple[Realised, ...]
    best_single: str
    shares: dict[str, float]
    by_task: dict[str, tuple[int, Realised, Realised]]
    metrics: dict[str, float | None]
    frontier: Points
    tradeoffs: tuple[Tradeoff, ...]
    n_ungraded: int = 0
    n_without_text: int = 0
    unknown: tuple[str, ...] = ()
    unseen: "Evaluation | None" = None
    against: Mapping[str, Difference] = field(default_factory=dict)
    verdict: Verdict | None = None
    cheaper: Mapping[int, Difference] = field(default_factory=dict)
    against_mix: Difference | None = None
    decided: Decided | None = field(default=None, repr=False, compare=False)
    reliability: Mapping[str, Reliability] = field(default_factory=dict)

    def summary(self) -> Summary:
        """Return the verdict, and the router beside every single model."""
        router = self.router
        rows = [
            ("the router", f"{router.quality:.3f}", f"{router.success:.3f}", usd(1000 * router.cost_usd), ""),
            *(
                (
                    f"{one.label}{' *' if one.label == self.best_single else ''}",
                    f"{one.quality:.3f}",
                    f"{one.success:.3f}",
                    usd(1000 * one.cost_usd),
                    percent(self.shares[one.label]),
                )
                for one in self.singles
            ),
        ]
        verdict = "" if self.verdict is None else f": {self.verdict.sentence}"
        notes = [f"* the best single model. Success: quality >= {self.quality_bar:g}. Rule: {self.rule}."]
        return Summary(
            f"Evaluation on {self.n_prompts:,} prompts{verdict}",
            ("every prompt to", "quality", "success", "$ per 1k", "share"),
            rows,
            notes,
        )

    @property
    def savings(self) -> dict[str, float | None]:
        """The share of each single model's cost that the router saves; negative where it costs more.

        None for a model that is free.
        """
        cost = self.router.cost_usd
        return {s.label: 1 - cost / s.cost_usd if s.cost_usd > 0 else None for s in self.singles}

    @property
    def losses(self) -> TaskLosses:
        """What the router loses on which task."""
        return TaskLosses(self.best_single, self.by_task)

    @property
    def calibration(self) -> CalibrationCheck:
        """Whether the predicted probabilities hold."""
        return CalibrationCheck(self.reliability)

    def as_dict(self) -> dict[str, Any]:
        """Return the evaluation as plain JSON types."""
        return {
            "n_prompts": self.n_prompts,
            "n_seen": self.n_seen,
            "cost_sources": self.cost_sources,
            "n_left_out": self.n_left_out,
            "n_near": self.n_near,
            "n_near_left_out": self.n_near_left_out,
            "n_incomplete": self.n_incomplete,
            "n_ungraded": self.n_ungraded,
            "n_without_text": self.n_without_text,
            "unknown": list(self.unknown),
            "quality_bar": self.quality_bar,
            "rule": self.rule,
            "router": asdict(self.router),
            "expected_cost_usd": self.expected_cost_usd,
            "cost_bias": self.cost_bias,
            "singles": [asdict(single) for single in self.singles],
            "best_single": self.best_single,
            "savings": self.savings,
            "shares": self.shares,
            "by_task": {
                task: {"n_prompts": n, "router": asdict(router), "best_single": asdict(single)}
                for task, (n, router, single) in self.by_task.items()
            },
            "metrics": self.metrics,
            "reliability": [
                {"predicted": float(predicted), "observed": float(observed), "n": int(n)}
                for predicted, observed, n in zip(*self.reliability[ALL_MODELS], strict=True)
            ]
            if self.reliability
            else [],
            "frontier": {
                "cost_usd": self.frontier.cost_usd.tolist(),
                "quality": self.frontier.quality.tolist(),
            },
            "tradeoffs": [asdict(tradeoff) for tradeoff in self.tradeoffs],
            "unseen": None if self.unseen is None else self.unseen.as_dict(),
            "against": {model: difference.as_dict() for model, difference in self.against.items()},
            "verdict": None if self.verdict is None else self.verdict.as_dict(),
            "cheaper": {str(position): difference.as_dict() for position, difference in self.cheaper.items()},
            "against_mix": None if self.against_mix is None else self.against_mix.as_dict(),
        }

    def plot(self, picture: Picture = "frontier", *, width: int = 640) -> Drawing:
        """Draw the evaluation.

        Parameters
        ----------
        picture : what to draw
            ``frontier``: quality over cost, of the router and of every model alone. ``tasks``: what is saved on each
            task, the largest 15. ``shares``: the share of prompts of each model. ``reliability``: predicted against
            observed success.
        width : pixels

        Raises
        ------
        ValueError
            If `picture` is none of these, or there is nothing to draw.
        ImportError
            Without the extra ``report``.
        """
        drawn = {"frontier": self._frontier, "tasks": self._tasks, "shares": self._shares}
        if picture == "reliability":
            return self.calibration.plot(width=width)
        if picture not in drawn:
            raise ValueError(f"picture is {picture!r}; expected one of {', '.join(get_args(Picture))}")
        return Drawing(drawn[picture](width))

    def _frontier(self, width: int) -> "alt.LayerChart":
        singles = [CostPoint(one.label, one.cost_usd, one.quality) for one in self.singles]
        router = CostPoint("the router", self.router.cost_usd, self.router.quality, kind="router", needed=True)
        order = self.frontier.cost_usd.argsort(kind="stable")
        curve = CostCurve(
            "the router's settings", self.frontier.cost_usd[order].tolist(), self.frontier.quality[order].tolist()
        )
        return frontier([*singles, router], [random_mix(singles), curve], width=width)

    def _tasks(self, width: int) -> "alt.LayerChart":
        largest = sorted(self.by_task.items(), key=lambda item: -item[1][0])[:_TASKS_DRAWN]
        if not largest:
            raise ValueError("the table has no tasks to draw; fill in its column 'task'")
        rows = [IntervalRow(f"{task} ({n:,})", router.saving, kind="ours") for task, (n, router, _) in largest]
        return intervals(
            rows,
            axis=f"share of the cost of {self.best_single} that is saved",
            description="Share of the best single model's cost that is saved on each task",
            axis_format="%",
            write=percent,
            reach=(-1.0, 1.0) if min(row.value or 0.0 for row in rows) < -1 else None,
            width=width,
        )

    def _shares(self, width: int) -> "alt.LayerChart":
        cheapest_first = [one.label for one in sorted(self.singles, key=lambda one: one.cost_usd)]
        return shares({"the router": self.shares}, cheapest_first=cheapest_first, width=width)
