"""Levels of a catalog's models where no model is known: from prices, accuracies, scores and siblings.

`router_model.announced.estimated_levels` compares announced models with known ones. A starter has no known models but
its anchors, which have neither prices nor scores. So its models are compared with each other:

- **Price.** Levels rise by a quarter with the logarithm of the output price, with a wide error.
- **Scores.** On a benchmark that several models of the catalog have, the log odds of a score, less their mean, tell the
  differences of levels. A benchmark of one model says nothing.
- **An accuracy**, with the error of counting, and **a sibling**, with the spread that there is between siblings.

All are combined as normal distributions are. The spreads are those of public tables (docs/decisions/0046).
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from router_model.announced.estimated_levels import Level
from router_model.announced.reference import log_odds_of
from router_model.catalog import Catalog, ModelCard
from router_model.errors import CatalogError

_LEVEL: Final = 0.5  # of a model that costs 1 USD per million tokens of output
_PRICE_SLOPE, _PRICE_SLOPE_ERROR = 0.25, 0.15
_PRICE_SPREAD: Final = 0.6
_LEAST_PRICE: Final = 0.01  # USD per million tokens; free models have no logarithm
_SCORE_SLOPE, _SCORE_SPREAD = 0.85, 0.3
_SHARED: Final = 0.5  # of a score's variance: what is particular to the user's prompts, so the same in all scores
_SIBLING_SPREAD: Final = 0.3
_OTHER_SAMPLE: Final = 0.05  # error of an accuracy beside counting
_USUAL_PROMPTS: Final = 100  # of an accuracy that does not say on how many it was counted


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
    own = {model: _combined(_of_price(card), _of_accuracy(card)) for model, card in cards.items()}
    scored = _of_scores(cards, own)
    found = {model: _combined(level, scored[model]) for model, level in own.items()}
    for model in cards:
        for each in _siblings_first(catalog, model):
            sibling = found[each.like or ""]
            like = Level(sibling.log_odds, float(np.hypot(sibling.error, _SIBLING_SPREAD)))
            found[each.model] = _combined(own[each.model], scored[each.model], like)
    return found


def _combined(*measured: Level | None) -> Level:
    known = [one for one in measured if one is not None]
    precision = np.array([one.error**-2 for one in known])
    mean = float(precision @ [one.log_odds for one in known] / precision.sum())
    return Level(mean, float(precision.sum() ** -0.5))


def _of_price(card: ModelCard) -> Level:
    log_price = float(np.log(max(float(card.usd_per_mtok_output), _LEAST_PRICE)))
    error = float(np.hypot(_PRICE_SPREAD, _PRICE_SLOPE_ERROR * log_price))
    return Level(_LEVEL + _PRICE_SLOPE * log_price, error)


def _of_accuracy(card: ModelCard) -> Level | None:
    if card.accuracy is None:
        return None
    n = card.accuracy_prompts or _USUAL_PROMPTS
    p = (card.accuracy * n + 1) / (n + 2)  # Laplace's rule: no share of few prompts is certain
    return Level(float(log_odds_of(p)), float(np.hypot((n * p * (1 - p)) ** -0.5, _OTHER_SAMPLE)))


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


def _siblings_first(catalog: Catalog, model: str) -> list[ModelCard]:
    """Return the cards to estimate for a model that has a sibling: the farthest one of the line first."""
    line: list[ModelCard] = []
    card = catalog[model]
    while card.like is not None:
        if card.like not in catalog:
            raise CatalogError(f'[models."{card.model}"].like: got {card.like!r}, expected a model of this catalog')
        line.append(card)
        card = catalog[card.like]
        if card in line:
            raise CatalogError(f'[models."{model}"].like: leads back to {card.model!r}; expected a line that ends')
    return line[::-1]
