"""The targets that a predictor learns: success at each quality bar, output tokens and latency."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from router_model.features.featuriser import as_slice
from router_model.prediction.amounts import AMOUNTS
from router_model.prediction.bars import BarGrid, succeeds
from router_model.training.table.outcomes import Outcomes

FloatArray = npt.NDArray[np.float32]

DEFAULT_OUTPUT_TOKENS = 300.0
"""Assumed of every answer where a table says neither tokens nor costs of any."""

MAX_LEVELS = 8
"""Tables with at most this many different qualities are learned at each of them."""

GRID_QUANTILES = (0.1, 0.3, 0.5, 0.7, 0.9)


@dataclass(frozen=True, slots=True)
class Targets:
    """Training targets of n prompts.

    Attributes
    ----------
    outcome : float32 array, shape (n, n_models, n_targets)
        One target a bar (1 success, 0 failure or unknown), then one an amount: the logarithm of ``1 + amount``
        less the model's mean of it (0 where unknown).
    weight : float32 array, shape (n, n_models, n_targets)
        1 where the quality, or for an amount the amount, is known; else 0. Propensities do not weigh rows
        (docs/decisions/0022).
    prior : float32 array, shape (n_targets,)
        What a model without any outcome is assumed to do.
    grid : BarGrid
    amounts : names of the amounts that are known of some training prompt, in the order of `AMOUNTS`
    mean_log : amount -> float32 array, shape (n_models,)
        Also of amounts that are unknown, where a default is known (`DEFAULT_OUTPUT_TOKENS`).
    """

    outcome: FloatArray
    weight: FloatArray
    prior: FloatArray
    grid: BarGrid
    amounts: tuple[str, ...]
    mean_log: dict[str, FloatArray]

    @property
    def n_bars(self) -> int:
        """Number of targets that are bars."""
        return len(self.grid)

    @property
    def graded(self) -> npt.NDArray[np.bool_]:
        """Which pairs have a known quality, shape (n, n_models)."""
        return self.weight[:, :, 0] > 0

    def column(self, amount: str) -> int:
        """Return the target of a known amount."""
        return self.n_bars + self.amounts.index(amount)

    def take(self, rows: npt.NDArray[np.intp]) -> "Targets":
        """Return the targets of some prompts; those of prompts in a row are not copied."""
        at = as_slice(rows)
        return replace(self, outcome=self.outcome[at], weight=self.weight[at])


def build_targets(outcomes: Outcomes, bars: tuple[float, ...], learn_from: npt.NDArray[np.intp]) -> Targets:
    """Turn an outcome table into targets.

    Parameters
    ----------
    outcomes : of n prompts
    bars : quality bars in (0, 1] that matter most; see `bar_grid`
    learn_from : indices of the training prompts
        Only they decide which bars are learned and what a model's mean amounts are.
    """
    grid = bar_grid(outcomes.quality[learn_from], bars)
    known = ~np.isnan(outcomes.quality)
    layers = [succeeds(outcomes.quality[:, :, None], grid.bars).astype(np.float32)]
    weights = [np.repeat(known.astype(np.float32)[:, :, None], len(grid), axis=2)]
    logs = {name: np.log1p(getattr(outcomes, name)) for name in AMOUNTS}
    amounts = tuple(name for name in AMOUNTS if np.isfinite(logs[name][learn_from]).any())
    mean_log = {"output_tokens": np.full(len(outcomes.models), np.log1p(DEFAULT_OUTPUT_TOKENS))}
    for name in amounts:
        mean_log[name] = _known_mean(logs[name][learn_from])
        layers.append(np.nan_to_num(logs[name] - mean_log[name])[:, :, None].astype(np.float32))
        weights.append(np.isfinite(logs[name])[:, :, None].astype(np.float32))
    return Targets(
        outcome=np.concatenate(layers, axis=2),
        weight=np.concatenate(weights, axis=2),
        prior=np.array([0.5] * len(grid) + [0.0] * len(amounts), dtype=np.float32),
        grid=grid,
        amounts=amounts,
        mean_log={name: mean.astype(np.float32) for name, mean in mean_log.items()},
    )


def bar_grid(quality: npt.NDArray[np.float64], asked: tuple[float, ...]) -> BarGrid:
    """Choose the bars to learn success at.

    Every positive quality that occurs, where there are at most `MAX_LEVELS`: then any bar is answered exactly.
    Else the bars asked for and `GRID_QUANTILES` of the qualities, to interpolate between.

    >>> bar_grid(np.array([[0.0, 1.0]]), (0.5, 0.7, 0.9)).bars.tolist()
    [1.0]
    >>> bar_grid(np.array([[0.0, 0.5, 1.0]]), (0.7,)).bars.tolist()
    [0.5, 1.0]
    >>> grid = bar_grid(np.linspace(0, 0.8, 81)[None], (0.5, 0.7, 0.9))
    >>> [round(float(bar), 2) for bar in grid.bars], grid.high
    ([0.08, 0.24, 0.4, 0.5, 0.56, 0.7, 0.72], 0.8)
    """
    values = quality[~np.isnan(quality)]
    low, high = float(values.min()), float(values.max())
    levels = np.unique(values.astype(np.float32))
    levels = levels[levels > 0]
    if len(levels) <= MAX_LEVELS:
        # Where every answer has quality 0 nothing can be learned, and the caller says so.
        return BarGrid(levels if len(levels) else np.ones(1, dtype=np.float32), low, high, stepwise=True)
    wanted = {*asked, *np.quantile(values, GRID_QUANTILES).tolist()}
    bars = distinct_bars(quality, tuple(bar for bar in wanted if succeeds(high, bar) and not succeeds(low, bar)))
    return BarGrid(bars.astype(np.float32), low, high, stepwise=False)


def distinct_bars(quality: npt.NDArray[np.float64], bars: tuple[float, ...]) -> npt.NDArray[np.float64]:
    """Drop bars that split the qualities like a higher one does.

    >>> distinct_bars(np.array([[0.0, 1.0]]), (0.5, 0.7, 0.9)).tolist()
    [0.9]
    >>> distinct_bars(np.array([[0.2, 0.6, 0.95]]), (0.5, 0.7, 0.9)).tolist()
    [0.5, 0.9]
    """
    values = quality[~np.isnan(quality)]
    n_met = {bar: int(np.count_nonzero(succeeds(values, bar))) for bar in sorted(set(bars))}
    highest_with = {count: bar for bar, count in n_met.items()}
    return np.array(sorted(highest_with.values()))


def _known_mean(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the mean of each column over its finite entries, of all entries where a column has none."""
    finite = np.isfinite(values)
    total = np.where(finite, values, 0.0)
    count = finite.sum(axis=0)
    return np.asarray(np.where(count > 0, total.sum(axis=0) / np.maximum(count, 1), total.sum() / count.sum()))
