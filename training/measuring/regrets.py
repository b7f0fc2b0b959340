"""Find the prompts on which a router's decisions cost most, in hindsight.

The *regret* of a prompt is what was lost against the best choice, knowing the outcomes: the highest ``success x value -
cost`` of any model, minus that of the chosen model, in USD. Some regret is bad luck: an answer that succeeds with
probability 0.9 may fail.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from router_model.errors import TableError
from router_model.features import Prompt
from router_model.router import Router
from router_model.summary import Summarised, Summary
from router_model.training.measuring.evaluate import learned_from
from router_model.training.table.costs import realised_costs
from router_model.training.table.frames import Table
from router_model.training.table.outcomes import read_outcomes
from router_model.wording import shortened, usd

_EXCERPT = 110
_SHOWN = 60  # characters of a prompt in a table
_LIKELY, _LIKELIER = 0.9, 0.05


@dataclass(frozen=True, slots=True)
class Regret:
    """A prompt that another model would have answered better or at lower cost.

    Attributes
    ----------
    regret_usd : float
        The net value that the decision lost, at the value of a success.
    prompt : str
        The beginning of its text.
    task : str
    chosen, better : str
        The chosen model, and the one that would have been best.
    p_chosen, p_better : float
        The predicted P(success) of each.
    quality_chosen, quality_better : float
        The qualities of their answers.
    cost_chosen_usd, cost_better_usd : float
    """

    regret_usd: float
    prompt: str
    task: str
    chosen: str
    better: str
    p_chosen: float
    p_better: float
    quality_chosen: float
    quality_better: float
    cost_chosen_usd: float
    cost_better_usd: float

    @property
    def kind(self) -> Literal["unlucky", "misjudged", "not known"]:
        """Why the decision went wrong.

        ``unlucky``: the chosen model was likely to succeed, at 0.9 or more. ``misjudged``: the better model was known
        to be likelier, by 0.05 or more, and was too dear. ``not known``: the weaker model was taken for as good.
        """
        if self.p_chosen >= _LIKELY:
            return "unlucky"
        return "misjudged" if self.p_better >= self.p_chosen + _LIKELIER else "not known"


class Regrets(Summarised, tuple[Regret, ...]):
    """Regrets, the worst first."""

    __slots__ = ()

    def summary(self) -> Summary:
        """Return each of them, and how many are of which kind."""
        rows = [
            (
                one.kind,
                one.task,
                shortened(one.prompt, _SHOWN),
                f"{one.chosen} ({one.p_chosen:.2f})",
                f"{one.better} ({one.p_better:.2f})",
                usd(one.regret_usd),
            )
            for one in self
        ]
        n_of = Counter(one.kind for one in self)
        head = f"The {len(self)} worst decisions: {', '.join(f'{n} {kind}' for kind, n in n_of.most_common())}"
        titles = ("kind", "task", "prompt", "chosen (P)", "better (P)", "lost")
        return Summary(head if self else "No decision lost anything", titles, rows, n_texts=5)


def worst_regrets(
    router: Router | str | Path,
    table: Table,
    *,
    n_worst: int = 10,
    quality_bar: float | None = None,
    quality_value_usd: float | None = None,
) -> Regrets:
    """Return the decisions that lost the most net value (quality x its value - cost), the worst first.

    Decisions that lost no net value are left out.

    So are prompts that the router was trained on, or on near duplicates of, and prompts without an outcome and a cost
    of every model.

    Parameters
    ----------
    router : Router, or its folder
    table : path of an outcome table, a frame of polars, pandas or Arrow, or `Outcomes`
        It must have every model of the router.
    n_worst : int
        Largest number to return.
    quality_bar : bar of the probabilities that are shown; the artifact's by default
    quality_value_usd : see `Router.route`; the artifact's by default

    Raises
    ------
    TableError
        If a model is missing or no prompt is left.
    """
    router = Router.of(router).graded_only()
    outcomes = read_outcomes(table).select_models(router.models)
    cost = realised_costs(outcomes, router.catalog)
    rows = np.flatnonzero(~np.isnan(outcomes.quality + cost).any(axis=1) & ~learned_from(router, outcomes.prompts))
    if not len(rows):
        raise TableError(
            f"no prompt left to look at: the router was trained on all {len(outcomes)}, or they lack an outcome or a "
            "cost of some model; give prompts it never saw, answered by every model"
        )
    point = router.artifact.operating_point
    bar = point.quality_bar if quality_bar is None else quality_bar
    value = point.quality_value_usd if quality_value_usd is None else quality_value_usd
    kept, cost = outcomes.take(rows), cost[rows]
    decisions = router.route_batch(kept.prompts, quality_bar=bar, quality_value_usd=value)
    chosen = np.array([router.models.index(decision.model) for decision in decisions])
    net = kept.quality * value - cost
    better, n = net.argmax(axis=1), np.arange(len(rows))
    regret = net[n, better] - net[n, chosen]
    worst = np.argsort(-regret, kind="stable")[:n_worst]
    expected = [{step.model: step.p_success for step in decision.plan} for decision in decisions]
    return Regrets(
        Regret(
            regret_usd=float(regret[row]),
            prompt=shortened(Prompt.parse(kept.prompts[row]).text, _EXCERPT),
            task=kept.tasks[row],
            chosen=router.models[chosen[row]],
            better=router.models[better[row]],
            p_chosen=expected[row][router.models[chosen[row]]],
            p_better=expected[row].get(router.models[better[row]], float("nan")),
            quality_chosen=float(kept.quality[row, chosen[row]]),
            quality_better=float(kept.quality[row, better[row]]),
            cost_chosen_usd=float(cost[row, chosen[row]]),
            cost_better_usd=float(cost[row, better[row]]),
        )
        for row in worst
        if regret[row] > 0
    )
