"""A level of a model, and what a single card says of it, with or without known models."""

from collections.abc import Container
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import expit, ndtri

from router_model.announced.reference import log_odds_of
from router_model.catalog import Catalog, ModelCard
from router_model.errors import CatalogError
from router_model.prediction.uncertainty import Z

# docs/decisions/0046 measured with these spreads. Narrower ones (0.3 for siblings) held too seldom.
_SIBLING_SPREAD: Final = 0.5
_OTHER_SAMPLE: Final = 0.1  # error of an accuracy beside counting: other prompts than those of the router
_USUAL_PROMPTS: Final = 100  # of an accuracy that does not say on how many it was counted
_LEAST_PRICE: Final = 0.01  # USD per million tokens; free models have no logarithm
_MAX_SIBLINGS: Final = 50


def luckiest(n: int) -> float:
    """Return how many standard errors the most overrated of n levels is off, at most, with a probability of 95 %.

    Sidak's (1967) bound for n independent normal errors: each stays below with 0.95 to the power of 1/n.

    >>> round(luckiest(1), 2), round(luckiest(395), 2)
    (1.64, 3.65)
    """
    return float(ndtri(0.95 ** (1 / n)))


@dataclass(frozen=True, slots=True)
class Level:
    """A level of a model: its log odds and their standard error."""

    log_odds: float
    error: float

    @property
    def quality(self) -> float:
        """The mean quality at the level."""
        return float(expit(self.log_odds))

    @property
    def interval(self) -> tuple[float, float]:
        """The mean quality at both ends of the central 90 %."""
        low, high = expit(self.log_odds + np.array([-1.0, 1.0]) * Z * self.error)
        return float(low), float(high)

    def of_sibling(self) -> "Level":
        """Return what the level says of a sibling's."""
        return Level(self.log_odds, float(np.hypot(self.error, _SIBLING_SPREAD)))


def level_of_accuracy(card: ModelCard) -> Level | None:
    """Return what a card's accuracy says of the level; None if it has none.

    >>> from decimal import Decimal
    >>> level_of_accuracy(ModelCard("a", Decimal(1), Decimal(1), accuracy=0.5, accuracy_prompts=10_000))
    Level(log_odds=0.0, error=0.10198039027185571)
    """
    if card.accuracy is None:
        return None
    n = card.accuracy_prompts or _USUAL_PROMPTS
    p = (card.accuracy * n + 1) / (n + 2)  # Laplace's rule: no share of few prompts is certain
    return Level(float(log_odds_of(p)), float(np.hypot((n * p * (1 - p)) ** -0.5, _OTHER_SAMPLE)))


def log_price(card: ModelCard) -> float:
    """Return the logarithm of the output price in USD per million tokens."""
    return float(np.log(max(float(card.usd_per_mtok_output), _LEAST_PRICE)))


def siblings_first(catalog: Catalog, model: str, found: Container[str], *, expected: str) -> list[ModelCard]:
    """Return the cards to estimate before and with a model's, the farthest sibling first.

    Parameters
    ----------
    found : ids of models whose level is known; a line of siblings ends before them
    expected : what a sibling must be, for the error

    Raises
    ------
    CatalogError
        If a sibling is unknown, or siblings lead back to the model.
    """
    line: list[ModelCard] = []
    at: str | None = model
    while at is not None and at not in found:
        if at not in catalog:
            raise CatalogError(f'[models."{line[-1].model}"].like: got {at!r}, expected {expected}')
        if at in {card.model for card in line} or len(line) >= _MAX_SIBLINGS:
            raise CatalogError(f'[models."{model}"].like: leads back to {at!r}; expected a line of siblings that ends')
        line.append(catalog[at])
        at = catalog[at].like
    return line[::-1]
