"""Levels of a catalog's models where no model is known: from prices, accuracies, scores and siblings.

`router_model.announced.estimated_levels` compares announced models with known ones. A starter has no known models but
its anchors, which have neither prices nor scores. So its models are compared with each other:

- **Price.** Levels rise by a quarter with the logarithm of the output price, with a wide error.
- **Scores.** On a benchmark that several models of the catalog have, the log odds of a score, less their mean, tell the
  differences of levels. A benchmark of one model says nothing.
- **An accuracy**, with the error of counting, and **a sibling**, with the spread that there is between siblings.

All are combined as normal distributions are. Siblings and accuracies are read as those of announced models are
(`router_model.announced.level`). The spreads of prices and scores are fixed, because there is no known model to learn
them from. They are a little below the priors there (0.6 for 0.7, and 0.3 for 0.4), though docs/decisions/0046 found
scores at 0.3 too narrow for announced models. In a starter nobody compared them: the figures of docs/starting.md were
measured with these.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from router_model.announced.level import Level, level_of_accuracy, log_price, siblings_first
from router_model.announced.reference import log_odds_of
from router_model.catalog import Catalog, ModelCard

_LEVEL: Final = 0.5  # of a model that costs 1 USD per million tokens of output
_PRICE_SLOPE, _PRICE_SLOPE_ERROR = 0.25, 0.15
_PRICE_SPREAD: Final = 0.6
_SCORE_SLOPE, _SCORE_SPREAD = 0.85, 0.3
_SHARED: Final = 0.5  # of a score's variance: what is particular to the user's prompts, so the same in all scores


def starter_levels(catalog: Catalog) -> dict[str, Level]:
    """Estimate the levels of all models of a catalog, in its order.

    Raises
    ------
    CatalogError
        If a sibling is not in the catalog, or siblings lead back to the model.

    Examples
    --------
    Nobody says more than a price: 100 times the price is expected to be worth 1.15 log odds.

    >>> from decimal import Decimal
    >>> cards = {name: ModelCard(name, Decimal(1), price) for name, price in (("s", Decimal(1)), ("l", Decimal(100)))}
    >>> levels = starter_levels(Catalog(cards))
    >>> round(levels["s"].log_odds, 2), round(levels["l"].log_odds, 2), round(levels["s"].error, 2)
    (0.5, 1.65, 0.6)
    """
    cards = catalog.cards
    own = {model: _combined(_of_price(card), level_of_accuracy(card)) for model, card in cards.items()}
    scored = _of_scores(cards, own)
    found = {model: _combined(level, scored[model]) for model, level in own.items()}
    estimated = {model: level for model, level in found.items() if cards[model].like is None}
    for model in cards:
        for card in siblings_first(catalog, model, estimated, expected="a model of this catalog"):
            like = estimated[card.like or ""].of_sibling()
            estimated[card.model] = _combined(own[card.model], scored[card.model], like)
    return {model: estimated[model] for model in cards}


def _combined(*measured: Level | None) -> Level:
    known = [one for one in measured if one is not None]
    precision = np.array([one.error**-2 for one in known])
    mean = float(precision @ [one.log_odds for one in known] / precision.sum())
    return Level(mean, float(precision.sum() ** -0.5))


def _of_price(card: ModelCard) -> Level:
    price = log_price(card)
    return Level(_LEVEL + _PRICE_SLOPE * price, float(np.hypot(_PRICE_SPREAD, _PRICE_SLOPE_ERROR * price)))


def _of_scores(cards: Mapping[str, ModelCard], own: Mapping[str, Level]) -> dict[str, Level | None]:
    """Return what scores say of each model; None of those without a benchmark that another model has, too."""
    said: dict[str, list[float]] = {model: [] for model in cards}
    for name in sorted({name for card in cards.values() for name in card.scores or {}}):
        models = [model for model, card in cards.items() if name in (card.scores or {})]
        if len(models) < 2:  # noqa: PLR2004 - one score has nothing to be compared with
            continue
        scores = log_odds_of([(cards[model].scores or {})[name] for model in models])
        centre = float(np.mean([own[model].log_odds for model in models]))
        for model, away in zip(models, (scores - scores.mean()).tolist(), strict=True):
            said[model].append(centre + _SCORE_SLOPE * away)
    return {model: _mean_score(levels) for model, levels in said.items()}


def _mean_score(levels: Sequence[float]) -> Level | None:
    if not levels:
        return None
    return Level(float(np.mean(levels)), _SCORE_SPREAD * float(np.sqrt(_SHARED + (1 - _SHARED) / len(levels))))
