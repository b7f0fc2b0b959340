"""What each model alone would have cost, by a router's predictions: for a log that cannot show what it achieved.

Without grades, or without exploration, nothing is known of the quality of the models that did not answer
(`offpolicy.savings`). What they would have cost follows from their prices and from the predicted lengths of their
answers. Where a model answered 30 calls or more, its predictions are scaled to what these cost.

The intervals are about the choice of prompts. They do not hold the error of the predictions, which
`PredictedLedger.predicted_usd` beside `PredictedLedger.spent_usd` shows for the calls that were made.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from router_model.catalog import Catalog
from router_model.router import Router
from router_model.training.measuring.verdict import Estimate
from router_model.training.offpolicy.estimates import mean_with_interval, saving_with_interval
from router_model.training.offpolicy.evaluate_on_log import view_of, with_models
from router_model.training.offpolicy.logged import LoggedDecisions, known_costs, nothing_known
from router_model.training.offpolicy.savings import ENOUGH_ROWS


@dataclass(frozen=True, slots=True)
class PredictedLedger:
    """What the calls of a log cost, and what each model alone was predicted to cost on the same prompts.

    Attributes
    ----------
    why : why the log itself cannot tell
    n_logged, n_read, n_decisions : decisions of the log; those that were read, as not all are of a large log; and those
        that the amounts are about: they have a known cost
    n_graded : of these, how many are graded
    quality : mean grade of the graded answers; None if there are none
    spent_usd, predicted_usd : what the models that answered cost, and what they were predicted to cost
    alone_usd : model -> what it would have cost if it had answered everything, the best predicted quality first
    saving : model -> the share of it that was saved
    """

    why: str
    n_logged: int
    n_read: int
    n_decisions: int
    n_graded: int
    quality: Estimate | None
    spent_usd: float
    predicted_usd: float
    alone_usd: Mapping[str, float]
    saving: Mapping[str, Estimate]

    @property
    def best(self) -> str:
        """The model of the highest mean predicted quality."""
        return next(iter(self.alone_usd))

    def as_dict(self) -> dict[str, Any]:
        """Return the ledger as plain JSON types."""
        names = ("why", "n_logged", "n_read", "n_decisions", "n_graded", "spent_usd", "predicted_usd")
        return {
            **{name: getattr(self, name) for name in names},
            "quality": None if self.quality is None else self.quality.as_dict(),
            "best": self.best,
            "predicted": {
                model: {"cost_usd": cost, "saving": self.saving[model].as_dict()}
                for model, cost in self.alone_usd.items()
            },
        }


def predicted_savings(
    log: LoggedDecisions, router: Router, *, why: str, catalog: Catalog | None = None
) -> PredictedLedger:
    """Return what each of the router's models alone was predicted to cost.

    Raises
    ------
    TableError
        If no cost of any answer is known.
    """
    n_logged, n_read = log.n_logged, log.n_read
    log = with_models(log, tuple(dict.fromkeys((*log.outcomes.models, *router.models))))
    rows = np.arange(len(log))
    cards = [each for each in (catalog, router.catalog) if each is not None]
    billed = known_costs(log.outcomes, cards)[rows, log.taken]
    view = view_of(router, log, log.outcomes.models)
    known = np.flatnonzero(np.isfinite(billed) & np.isfinite(view.cost_usd[rows, log.taken]))
    if not len(known):
        raise nothing_known("cost", len(log))
    log, view, billed = log.take(known, left_out={}), view.take(known), billed[known]
    rows, sessions = np.arange(len(log)), log.outcomes.conversation_keys
    expected = view.cost_usd[rows, log.taken]
    alone, saving, quality = {}, {}, {}
    for model in router.models:
        column = log.outcomes.models.index(model)
        called = log.taken == column
        scale = billed[called].sum() / expected[called].sum() if called.sum() >= ENOUGH_ROWS else 1.0
        costs = view.cost_usd[:, column] * scale
        quality[model] = float(view.quality[:, column].mean())
        alone[model], saving[model] = float(costs.sum()), saving_with_interval(billed, costs, sessions)
    grades = log.outcomes.quality[rows, log.taken]
    graded = np.isfinite(grades)
    of_graded = [sessions[row] for row in np.flatnonzero(graded)]
    return PredictedLedger(
        why=why,
        n_logged=n_logged,
        n_read=n_read,
        n_decisions=len(log),
        n_graded=int(graded.sum()),
        quality=mean_with_interval(grades[graded], of_graded) if of_graded else None,
        spent_usd=float(billed.sum()),
        predicted_usd=float(expected.sum()),
        alone_usd={model: alone[model] for model in sorted(alone, key=lambda m: -quality[m])},
        saving=saving,
    )
