"""Estimate the level of models that nobody graded, from what a catalog says of them.

A level is the log odds of a model's mean quality on the prompts that the router was trained on. Known models have one.
Of the others, the catalog may give an accuracy on such prompts, scores in published benchmarks, a sibling, and always a
price. Each is a measurement of the level with an error, and they are combined as normal distributions are:

- **Price.** Levels of known models rise with the logarithm of the output price; the rest of their spread is the error.
  It counts beside a sibling, or where nothing else is said. Among many announced models are worse ones than among the
  graded: where a score or an accuracy shows that, the price would draw the level back to theirs.
- **Scores.** On a benchmark that known models have, too, the log odds of a score are the level plus what the benchmark
  adds, at a slope near 0.85. Half of the error's variance belongs to your prompts, so it is shared by all scores of a
  model, and ten scores do not make it vanish. Benchmarks that no known model has say nothing.
- **A sibling.** The level is the sibling's, with the spread that there is between siblings.
- **An accuracy.** With the error of counting on as many prompts as were graded.

How wide the spreads are is learned from the known models, whose number is small. So they start from what three public
tables show (docs/decisions/0046), and the answer is averaged over the spreads that remain possible.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from router_model.announced.level import Level, level_of_accuracy, log_price, siblings_first
from router_model.announced.reference import log_odds_of
from router_model.catalog import Catalog, ModelCard

Float64Array = npt.NDArray[np.float64]

_SLOPE, _SLOPE_ERROR = 0.85, 0.2  # of levels over log odds of scores
_PRICE_SLOPE, _PRICE_SLOPE_ERROR = 0.25, 0.15  # of levels over the log of prices
_LEVEL, _LEVEL_ERROR = 0.5, 2.0  # of a model at the mean price
_PRICE_SPREADS: Final = np.geomspace(0.25, 2.0, 7)
_SCORE_SPREADS: Final = np.geomspace(0.06, 1.2, 9)
_USUAL_PRICE_SPREAD, _USUAL_SCORE_SPREAD = 0.7, 0.4
_DOUBT: Final = 0.6  # standard deviation of the logarithm of a spread, before known models are looked at
_SHARED: Final = 0.5  # of the variance of a score's error: what is particular to the router's prompts


def estimate_levels(catalog: Catalog, known: Mapping[str, float], wanted: Sequence[str]) -> dict[str, Level]:
    """Estimate levels.

    Parameters
    ----------
    catalog : cards of the wanted and, as far as there are some, of the known models
    known : levels of known models
    wanted : ids of announced models

    Raises
    ------
    CatalogError
        If a sibling is not known, or siblings form a circle.
    """
    cards = {model: catalog[model] for model in known if model in catalog}
    prices, scores = _Prices.of(cards, known), _Scores.of(cards, known)
    found = {model: Level(level, 0.0) for model, level in known.items()}
    for model in wanted:
        for card in siblings_first(catalog, model, found, expected="a model of the router or of this catalog"):
            found[card.model] = _combined(card, prices, scores, found)
    return {model: found[model] for model in wanted}


def _combined(card: ModelCard, prices: "_Prices", scores: "_Scores", found: Mapping[str, Level]) -> Level:
    """Combine the measurements of a level, averaged over the possible spreads."""
    mean, variance = scores.measured(card)  # (n_score_spreads,)
    share = scores.share
    if np.isinf(variance).all() and card.accuracy is None:
        mean, variance = prices.expected(card)  # (n_price_spreads,)
        share = prices.share
    precision, weighted = 1 / variance, mean / variance
    for level in _single_measurements(card, found):
        precision, weighted = precision + level.error**-2, weighted + level.log_odds * level.error**-2
    means = weighted / precision
    centre = float(share @ means)
    return Level(centre, float(np.sqrt(share @ (1 / precision + (means - centre) ** 2))))


def _single_measurements(card: ModelCard, found: Mapping[str, Level]) -> list[Level]:
    measured = []
    if card.like is not None:
        measured.append(found[card.like].of_sibling())
    of_accuracy = level_of_accuracy(card)
    if of_accuracy is not None:
        measured.append(of_accuracy)
    return measured


def _share_of(log_likelihood: Float64Array, spreads: Float64Array, usual: float) -> Float64Array:
    """Return how likely each spread is, after a likelihood and a log-normal prior."""
    log_share = log_likelihood - (np.log(spreads / usual) / _DOUBT) ** 2 / 2
    share = np.exp(log_share - log_share.max())
    return np.asarray(share / share.sum())


@dataclass(frozen=True, slots=True)
class _Prices:
    """The line of levels over log prices, by each possible spread around it.

    Attributes
    ----------
    mean : shape (n_spreads, 2), intercept and slope
    covariance : shape (n_spreads, 2, 2)
    share : shape (n_spreads,)
    centre : the mean log price
    """

    mean: Float64Array
    covariance: Float64Array
    share: Float64Array
    centre: float

    @classmethod
    def of(cls, cards: Mapping[str, ModelCard], known: Mapping[str, float]) -> "_Prices":
        models = list(cards)
        prices = np.array([log_price(cards[model]) for model in models])
        levels = np.array([known[model] for model in models])
        centre = float(prices.mean()) if models else 0.0
        rows = np.column_stack([np.ones(len(models)), prices - centre])
        prior_mean, prior = np.array([_LEVEL, _PRICE_SLOPE]), np.diag([_LEVEL_ERROR**2, _PRICE_SLOPE_ERROR**2])
        means, covariances, likelihoods = [], [], []
        for spread in _PRICE_SPREADS:
            covariance = np.linalg.inv(np.linalg.inv(prior) + rows.T @ rows / spread**2)
            means.append(covariance @ (np.linalg.solve(prior, prior_mean) + rows.T @ levels / spread**2))
            covariances.append(covariance)
            likelihoods.append(
                _normal_log_density(levels - rows @ prior_mean, rows @ prior @ rows.T + spread**2 * np.eye(len(rows)))
            )
        share = _share_of(np.array(likelihoods), _PRICE_SPREADS, _USUAL_PRICE_SPREAD)
        return cls(np.array(means), np.array(covariances), share, centre)

    def expected(self, card: ModelCard) -> tuple[Float64Array, Float64Array]:
        """Return the level that a price lets expect, and its variance, by spread, shape (n_spreads,)."""
        at = np.array([1.0, log_price(card) - self.centre])
        variance = _PRICE_SPREADS**2 + np.einsum("sij,i,j->s", self.covariance, at, at)
        return self.mean @ at, variance


@dataclass(frozen=True, slots=True)
class _Benchmark:
    """The line of levels over the log odds of one benchmark's scores.

    Attributes
    ----------
    n : known models that have it
    centre, level : mean log odds of their scores, and mean of their levels
    slope, slope_error : float
    """

    n: int
    centre: float
    level: float
    slope: float
    slope_error: float

    @classmethod
    def of(cls, scores: Float64Array, levels: Float64Array) -> "_Benchmark":
        x, y = scores - scores.mean(), levels - levels.mean()
        precision = _SLOPE_ERROR**-2 + float(x @ x) / _USUAL_SCORE_SPREAD**2
        slope = (_SLOPE * _SLOPE_ERROR**-2 + float(x @ y) / _USUAL_SCORE_SPREAD**2) / precision
        return cls(len(x), float(scores.mean()), float(levels.mean()), slope, precision**-0.5)


@dataclass(frozen=True, slots=True)
class _Scores:
    """Benchmarks that known models have, and how likely each possible spread of scores around levels is."""

    benchmarks: Mapping[str, _Benchmark]
    share: Float64Array

    @classmethod
    def of(cls, cards: Mapping[str, ModelCard], known: Mapping[str, float]) -> "_Scores":
        benchmarks, likelihood = {}, np.zeros(len(_SCORE_SPREADS))
        for name in sorted({name for card in cards.values() for name in card.scores or {}}):
            models = [model for model, card in cards.items() if name in (card.scores or {})]
            scores = np.array([log_odds_of((cards[model].scores or {})[name]) for model in models])
            levels = np.array([known[model] for model in models])
            line = benchmarks[name] = _Benchmark.of(scores, levels)
            residual = levels - line.level - line.slope * (scores - line.centre)
            free = max(len(models) - 1, 0)
            likelihood += -free * np.log(_SCORE_SPREADS) - (residual @ residual) / (2 * _SCORE_SPREADS**2)
        # benchmarks that the same models have are not independent: together they count as the shared half and the rest
        likelihood /= 1 + _SHARED * max(len(benchmarks) - 1, 0)
        return cls(benchmarks, _share_of(likelihood, _SCORE_SPREADS, _USUAL_SCORE_SPREAD))

    def measured(self, card: ModelCard) -> tuple[Float64Array, Float64Array]:
        """Return the level that a model's scores measure, and its variance, by spread, shape (n_spreads,)."""
        scores = {name: score for name, score in (card.scores or {}).items() if name in self.benchmarks}
        if not scores:
            return np.zeros(len(_SCORE_SPREADS)), np.full(len(_SCORE_SPREADS), np.inf)
        lines = [self.benchmarks[name] for name in scores]
        away = np.array([log_odds_of(score) for score in scores.values()]) - [line.centre for line in lines]
        levels = np.array([line.level + line.slope * by for line, by in zip(lines, away, strict=True)])
        of_slope = np.array([(line.slope_error * by) ** 2 for line, by in zip(lines, away, strict=True)])
        own = (1 - _SHARED) + np.array([1 / line.n for line in lines])
        squares = _SCORE_SPREADS[:, None] ** 2
        precision = 1 / (squares * own + of_slope)  # (n_spreads, n_scores)
        total = precision.sum(axis=1)
        return (precision @ levels) / total, 1 / total + _SHARED * squares[:, 0]


def _normal_log_density(residual: Float64Array, covariance: Float64Array) -> float:
    if not len(residual):
        return 0.0
    _, log_determinant = np.linalg.slogdet(covariance)
    return float(-(log_determinant + residual @ np.linalg.solve(covariance, residual)) / 2)
