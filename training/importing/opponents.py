r"""Correct pairwise votes for the strength of the opponents.

A model that is mostly compared with strong models loses more often, however good its answers are. Arenas choose
opponents of similar strength on purpose, which makes all models look alike. The strengths :math:`s_i` are
those of Bradley and Terry: :math:`P_{ij} = s_i / (s_i + s_j)` is the chance that i wins against j. Let
:math:`\bar P_i` be its chance against all others on average. A vote q on i against j becomes

.. math:: q' = q \, \bar P_i / P_{ij} \text{ where j is weaker than that, else }
          q' = 1 - (1 - q) (1 - \bar P_i) / (1 - P_{ij})

So a win against a weak model counts less, a loss against a strong one costs less, and the mean over many votes is
:math:`\bar P_i`. Models with fewer than `MIN_VOTES` votes are not corrected, and neither are votes that call both
answers bad (docs/decisions/0018-pairwise-votes.md).

References
----------
Bradley, R. A., & Terry, M. E. (1952). Rank analysis of incomplete block designs. Biometrika 39(3/4).
Hunter, D. R. (2004). MM algorithms for generalized Bradley-Terry models. Annals of Statistics 32(1).
"""

from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

FloatArray = npt.NDArray[np.float64]

MIN_VOTES: Final = 30
"""Least number of votes of each model; with fewer votes, a strength is only a guess."""

_PRIOR_VOTES: Final = 1.0  # ties added to each model, shared among the others, so that no strength is infinite
_MAX_STEPS: Final = 1_000
_TOLERANCE: Final = 1e-9


def strengths(wins: FloatArray) -> FloatArray:
    """Fit the strengths of Bradley and Terry.

    Parameters
    ----------
    wins : array, shape (n_models, n_models)
        How often the model of the row won against the model of the column; a tie is half a win for both.

    Returns
    -------
    array, shape (n_models,)
        Positive, with a geometric mean of 1.

    Examples
    --------
    Three wins in four games are strengths of 3 : 1, which the added ties bring a little closer together:

    >>> first, second = strengths(np.array([[0.0, 300.0], [100.0, 0.0]]))
    >>> round(float(first / second), 2)
    2.99
    """
    n_models = len(wins)
    wins = wins + _PRIOR_VOTES / (2 * max(n_models - 1, 1))
    np.fill_diagonal(wins, 0)
    games, won = wins + wins.T, wins.sum(axis=1)
    found = np.ones(n_models)
    for _ in range(_MAX_STEPS):
        before = found
        found = won / (games / (found[:, None] + found)).sum(axis=1)
        found /= np.exp(np.log(found).mean())
        if np.abs(found - before).max() < _TOLERANCE:
            break
    return found


def corrected(votes: pl.LazyFrame) -> pl.LazyFrame:
    """Return votes with corrected qualities.

    Parameters
    ----------
    votes : polars.LazyFrame
        Outcomes with the opponent's name as ``opponent`` in ``extra``, and ``both_bad`` if the vote called both bad.
    """
    extra = pl.col("extra").str
    opponent = pl.when(extra.json_path_match("$.both_bad").is_null()).then(extra.json_path_match("$.opponent"))
    votes = votes.with_columns(opponent.alias("opponent"))
    lines = _lines(votes)
    joined = votes.join(lines.lazy(), on=["model", "opponent"], how="left", maintain_order="left")
    quality = pl.col("quality") * pl.col("slope").fill_null(1) + pl.col("intercept").fill_null(0)
    return joined.with_columns(quality.clip(0, 1)).drop("opponent", "slope", "intercept")


def _lines(votes: pl.LazyFrame) -> pl.DataFrame:
    """Return the slope and the intercept of the correction, one row for each model and opponent."""
    pairs = (
        votes.filter(pl.col("opponent").is_not_null() & pl.col("quality").is_not_null())
        .group_by("model", "opponent")
        .agg(wins=pl.col("quality").sum(), n_votes=pl.len())
        .collect()
    )
    n_votes = pairs.group_by("model").agg(pl.col("n_votes").sum())
    models = sorted(n_votes.filter(pl.col("n_votes") >= MIN_VOTES)["model"])
    pairs = pairs.filter(pl.col("model").is_in(models) & pl.col("opponent").is_in(models))
    if pairs.is_empty():
        return pairs.select("model", "opponent", slope=pl.lit(1.0), intercept=pl.lit(0.0))
    at = tuple(np.searchsorted(models, pairs[side].to_list()) for side in ("model", "opponent"))
    wins = np.zeros((len(models), len(models)))
    wins[at] = pairs["wins"].to_numpy()
    found = strengths(wins)
    chances = found[:, None] / (found[:, None] + found)
    np.fill_diagonal(chances, 0)
    average, here = chances.sum(axis=1)[at[0]] / (len(models) - 1), chances[at]
    slope = np.where(here > average, average / here, (1 - average) / (1 - here))
    intercept = np.where(here > average, 0.0, 1 - slope)
    return pairs.select("model", "opponent", slope=pl.Series(slope), intercept=pl.Series(intercept))
