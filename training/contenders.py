"""Which models are worth asking further, from the grades known so far.

To collect outcomes costs money, and most of it goes to models that no router would ever choose: there is a model that
is cheaper and better. After a first sample of prompts, most of them can be told. A *contender* is a model that would be
chosen on some share of prompts at some value of quality, as far as the grades know:

- Its level is drawn from its posterior (Beta; one success and one failure beforehand).
- A prompt moves the levels of all models apart, by as much as routers learn of prompts (`PROMPT_NOISE`).
- The value of a success is drawn evenly by logarithm, from one at which only costs count to one at which only quality
  counts.

Shares of draws are what Thompson sampling would ask (Thompson 1933). The whole prompt is asked of all contenders, so
that comparisons of models stay paired.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from router_model.errors import TrainingError

PROMPT_NOISE: Final = 0.1
"""Standard deviation of what a prompt does to each model's chance, apart from the others; 0.05 and 0.2 do as well.

To the difference of two models it does 1.4 times as much."""

MIN_SHARE: Final = 0.02
"""Models that are chosen in fewer draws are no contenders."""

FIRST_PROMPTS: Final = 40
"""Prompts to ask of all models before any is left out."""

MIN_GRADES: Final = 20
"""Least number of a model's grades to leave it out: some answers have no grade."""

_N_DRAWS = 20_000
_CHEAPEST_ONLY, _BEST_ONLY = 0.3, 200.0  # value of a success: times the least, and times the greatest mean cost
_LEAST_COST = 1e-6  # share of the greatest cost that a free model counts as having; zero has no logarithm

Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Contenders:
    """What the grades show.

    Attributes
    ----------
    models : ids
        In the order of the table.
    share : float64 array, shape (n_models,)
        Of draws in which the model is chosen.
    n_graded : int64 array, shape (n_models,)
    """

    models: tuple[str, ...]
    share: Float64Array
    n_graded: npt.NDArray[np.int64]

    @property
    def worth_asking(self) -> tuple[str, ...]:
        """The contenders, and models with fewer than `MIN_GRADES` grades."""
        kept = (self.share >= MIN_SHARE) | (self.n_graded < MIN_GRADES)
        return tuple(model for model, is_kept in zip(self.models, kept, strict=True) if is_kept)

    @classmethod
    def of(cls, models: tuple[str, ...], quality: Float64Array, cost_usd: Float64Array, *, seed: int) -> "Contenders":
        """Find them.

        Parameters
        ----------
        models : ids
        quality, cost_usd : shape (n_prompts, n_models)
            NaN where a pair was not asked, or not graded. A model without any cost is taken as the dearest.
        seed : of the draws

        Raises
        ------
        TrainingError
            If no pair has a cost.
        """
        known, priced = ~np.isnan(quality), ~np.isnan(cost_usd)
        if not priced.any():
            raise TrainingError("no answer has a cost; expected what the calls cost, to tell which models are worth it")
        n = known.sum(axis=0)
        total = np.where(known, quality, 0.0).sum(axis=0)
        cost = np.where(priced, cost_usd, 0.0).sum(axis=0) / np.maximum(priced.sum(axis=0), 1)
        cost[~priced.any(axis=0)] = cost.max()
        rng = np.random.default_rng(seed)
        level = rng.beta(total + 1, n - total + 1, size=(_N_DRAWS, len(models)))
        level += rng.normal(scale=PROMPT_NOISE, size=level.shape)
        dearest = float(cost.max()) or 1.0  # if all models are free, any value does
        cheapest = max(float(cost.min()), dearest * _LEAST_COST)
        low, high = np.log(_CHEAPEST_ONLY * cheapest), np.log(_BEST_ONLY * dearest)
        value = np.exp(rng.uniform(low, high, size=_N_DRAWS))
        chosen = np.argmax(value[:, None] * level - cost, axis=1)
        return cls(models, np.bincount(chosen, minlength=len(models)) / _N_DRAWS, n)
