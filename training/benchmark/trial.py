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
    """

    outcomes: Outcomes
    features: PromptFeatures
    success: Float64Array
    cost_usd: Float64Array

    @classmethod
    def of(cls, outcomes: Outcomes, features: PromptFeatures, catalog: Catalog, *, quality_bar: float) -> "Side":
        """Compute successes at a bar and realised costs."""
        success = np.where(np.isnan(outcomes.quality), np.nan, succeeds(outcomes.quality, quality_bar))
        return cls(outcomes, features, success, realised_costs(outcomes, catalog))

    def __len__(self) -> int:
        return len(self.features)

    @property
    def quality(self) -> Float64Array:
        """Quality of every answer, shape (n, m); NaN if unknown."""
        return self.outcomes.quality

    def take(self, rows: Rows) -> "Side":
        """Return some of the prompts."""
        return Side(self.outcomes.take(rows), self.features.take(rows), self.success[rows], self.cost_usd[rows])

    def blinded(self) -> "Side":
        """Return the prompts with every outcome unknown."""
        unknown = np.full_like(self.success, np.nan)
        blank: dict[str, Any] = dict.fromkeys(MATRIX_COLUMNS, unknown)
        return Side(replace(self.outcomes, **blank), self.features, unknown, unknown)


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
        Validation and test prompts have an outcome and a cost of every model; training prompts may lack some.
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
