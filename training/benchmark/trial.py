"""A trial: one split of an outcome table, as every method sees it.

A method learns from `train`, chooses hyperparameters and settings on `validation`, and only answers `test`.
`Trial.blinded` removes the outcomes of the test prompts, so that no method can read them by mistake.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from router_model.catalog import Catalog
from router_model.features import Encoder
from router_model.features.featuriser import PromptFeatures
from router_model.prediction.bars import succeeds
from router_model.training.measuring.operating_point import dr_outcomes
from router_model.training.table.costs import realised_costs
from router_model.training.table.outcomes import MATRIX_COLUMNS, Outcomes

Float64Array = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Side:
    """The prompts of one side of a split, with their features and outcomes.

    Attributes
    ----------
    outcomes : Outcomes
        Outcomes of n prompts x m models.
    features : PromptFeatures
        Features of the same prompts; ``features.embedding`` has the vectors that all methods share.
    success : float64 array, shape (n, m)
        1 if the quality meets the bar, else 0; NaN if unknown.
    cost_usd : float64 array, shape (n, m)
        The billed cost, else tokens at list prices; NaN if unknown.
    mean_quality, mean_success : float64 arrays, shape (n, m)
        `quality` and `success` for taking means over prompts: on validation and test prompts, estimates where these are
        unknown (`estimated`).
    """

    outcomes: Outcomes
    features: PromptFeatures
    success: Float64Array
    cost_usd: Float64Array
    mean_quality: Float64Array
    mean_success: Float64Array

    @classmethod
    def of(cls, outcomes: Outcomes, features: PromptFeatures, catalog: Catalog, *, quality_bar: float) -> "Side":
        """Compute successes at a bar and realised costs."""
        success = np.where(np.isnan(outcomes.quality), np.nan, succeeds(outcomes.quality, quality_bar))
        return cls(outcomes, features, success, realised_costs(outcomes, catalog), outcomes.quality, success)

    def __len__(self) -> int:
        return len(self.features)

    @property
    def quality(self) -> Float64Array:
        """Quality of every answer, shape (n, m); NaN if unknown."""
        return self.outcomes.quality

    def take(self, rows: Rows) -> "Side":
        """Return some of the prompts."""
        arrays = (self.success, self.cost_usd, self.mean_quality, self.mean_success)
        return Side(self.outcomes.take(rows), self.features.take(rows), *(values[rows] for values in arrays))

    def estimated(self, train: "Side") -> "Side":
        """Return the prompts with doubly robust estimates (`dr_outcomes`) in `mean_quality` and `mean_success`.

        The prediction in them is each model's mean on training prompts. It knows no prompt, so it favours no method.
        """
        propensity = self.outcomes.propensity
        quality, success = (
            dr_outcomes(values, propensity, np.broadcast_to(np.nan_to_num(known_means(learned)), values.shape))
            for values, learned in ((self.quality, train.quality), (self.success, train.success))
        )
        return replace(self, mean_quality=quality, mean_success=success)

    def blinded(self) -> "Side":
        """Return the prompts with every outcome unknown."""
        unknown = np.full_like(self.success, np.nan)
        blank: dict[str, Any] = dict.fromkeys(MATRIX_COLUMNS, unknown)
        return Side(replace(self.outcomes, **blank), self.features, unknown, unknown, unknown, unknown)


def known_means(values: Float64Array) -> Float64Array:
    """Return the mean of each column over its known entries, shape (m,); NaN for a column without any."""
    known = ~np.isnan(values)
    n_known = known.sum(axis=0)
    total = np.where(known, values, 0).sum(axis=0)
    return np.asarray(np.divide(total, n_known, out=np.full(len(total), np.nan), where=n_known > 0))


@dataclass(frozen=True, slots=True)
class Trial:
    """One split of a table.

    Attributes
    ----------
    name : str
        ``seed 0``, or ``law left out``.
    seed : int
    models : m ids, in the order of every array's model axis
    catalog : prices of exactly these models
    encoder : Encoder
        The encoder of the vectors.
    quality_bar : float
        The quality that counts as success.
    train, validation, test : Side
        Each prompt has an outcome of some model; validation and test prompts have a cost of every model.
    notes : facts that a reader of the figures must know
        For example, prompts left out and costs assumed.
    """

    name: str
    seed: int
    models: tuple[str, ...]
    catalog: Catalog
    encoder: Encoder
    quality_bar: float
    train: Side
    validation: Side
    test: Side
    notes: tuple[str, ...] = ()

    def blinded(self) -> "Trial":
        """Return the trial without the outcomes of its test prompts."""
        return replace(self, test=self.test.blinded())
