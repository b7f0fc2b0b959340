"""Find the logged prompts most similar to a prompt, and say how each model did on them."""

import numpy as np
import numpy.typing as npt

from router_model.explanation_records import LoggedOutcome, Neighbour
from router_model.features.featuriser import PromptFeatures
from router_model.prediction.bars import BAR_TOLERANCE, BarGrid, succeeds
from router_model.prediction.predictor import Predictor
from router_model.prediction.similarity import nearest_rows, similarities
from router_model.saved.bank_prompts import BankPrompts

N_NEIGHBOURS = 5
"""Number of logged prompts that are shown; the predictor reads more."""


def nearest_prompts(
    predictor: Predictor, features: PromptFeatures, prompts: BankPrompts | None, *, quality_bar: float
) -> tuple[Neighbour, ...]:
    """Return the `N_NEIGHBOURS` logged prompts that are most similar to a prompt in topic or wording.

    The nearest prompts of both spaces are joined and ranked by the larger of their two similarities. Prompts without
    any similarity are left out, so there may be fewer.

    Parameters
    ----------
    features : of a single prompt
    prompts : ids and texts of the bank; None if the artifact does not have them
    """
    model = predictor.evidence_model
    bags = model.vocabulary.transform(features.pieces).vectors
    topic = similarities(features.embedding, model.embedding.index)
    wording = similarities(bags, model.bag.index)
    found = np.unique([nearest_rows(similarity, N_NEIGHBOURS)[0] for similarity in (topic, wording)])
    larger = np.maximum(topic[0], wording[0])
    found = found[larger[found] > 0]  # an empty prompt is similar to none
    order = np.argsort(-larger[found], kind="stable")[:N_NEIGHBOURS]
    return tuple(
        Neighbour(
            prompt_id=None if prompts is None else prompts.ids[row],
            text=None if prompts is None or prompts.texts is None else prompts.texts[row],
            similarity=float(larger[row]),
            embedding_similarity=float(topic[0, row]),
            bag_similarity=float(wording[0, row]),
            outcomes=_outcomes(predictor, row, quality_bar),
        )
        for row in found[order].tolist()
    )


def _outcomes(predictor: Predictor, row: int, quality_bar: float) -> tuple[LoggedOutcome, ...]:
    bank, n_bars = predictor.evidence_model.bank, len(predictor.grid)
    known = bank.weight[row, :, 0] > 0
    return tuple(
        logged_outcome(model, bank.outcome[row, column, :n_bars], predictor.grid, quality_bar)
        if known[column]
        else LoggedOutcome(model, None, None, None)
        for column, model in enumerate(predictor.models)
    )


def logged_outcome(model: str, met: npt.NDArray[np.float32], grid: BarGrid, quality_bar: float) -> LoggedOutcome:
    """Return what is known about the quality of an answer from the bars that it met.

    Parameters
    ----------
    met : shape (n_bars,), 1 where the answer met the bar

    Examples
    --------
    >>> grid = BarGrid(np.array([0.5, 0.75], dtype=np.float32), low=0.25, high=1.0, stepwise=False)
    >>> met = np.array([1, 0], dtype=np.float32)
    >>> [logged_outcome("m", met, grid, bar).success for bar in (0.5, 0.7, 0.75)]
    [True, None, False]
    """
    n_met = int(np.count_nonzero(met > 0.5))  # noqa: PLR2004  (an indicator)
    bounds = [grid.low, *(round(float(bar), 6) for bar in grid.bars), grid.high]
    low = bounds[n_met]
    high = low if grid.stepwise else bounds[n_met + 1]
    if succeeds(low, quality_bar):
        success: bool | None = True
    else:  # the bar above was not met, so the upper bound is exclusive, except for the highest quality of all
        below = grid.stepwise or (high <= quality_bar + BAR_TOLERANCE and n_met < len(grid))
        success = False if below else None
    return LoggedOutcome(model, success, low, high)
