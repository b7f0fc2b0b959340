"""What is learned: success at each quality bar, and output tokens."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.outcomes import Outcomes

FloatArray = npt.NDArray[np.float32]

DEFAULT_OUTPUT_TOKENS = 300.0
"""Assumed of every answer where a table says neither tokens nor costs of any."""

MAX_WEIGHT_RATIO = 20.0
"""Largest weight of a row over the median weight: one lucky exploration must not outvote a table."""


@dataclass(frozen=True, slots=True)
class Targets:
    """Training targets of n prompts.

    Attributes
    ----------
    outcome : float32 array, shape (n, n_models, n_targets)
        One target a bar (1 success, 0 failure or unknown), then, if `has_tokens`, the logarithm of
        ``1 + output tokens`` less the model's mean of it (0 where unknown).
    weight : float32 array, shape (n, n_models, n_targets)
        Inverse propensity weight with mean 1 over known pairs; 0 where the quality, or for
        the token target the number of tokens, is unknown.
    prior : float32 array, shape (n_targets,)
        What a model without any outcome is assumed to do.
    bars : float32 array, shape (n_bars,), ascending
    has_tokens : bool
    mean_log_tokens : float32 array, shape (n_models,)
        Of `DEFAULT_OUTPUT_TOKENS` where no model's tokens are known.
    """

    outcome: FloatArray
    weight: FloatArray
    prior: FloatArray
    bars: FloatArray
    has_tokens: bool
    mean_log_tokens: FloatArray

    @property
    def n_bars(self) -> int:
        """Number of targets that are bars."""
        return len(self.bars)

    @property
    def graded(self) -> npt.NDArray[np.bool_]:
        """Which pairs have a known quality, shape (n, n_models)."""
        return self.weight[:, :, 0] > 0

    def take(self, rows: npt.NDArray[np.intp]) -> "Targets":
        """Return the targets of some prompts."""
        return Targets(
            self.outcome[rows],
            self.weight[rows],
            self.prior,
            self.bars,
            self.has_tokens,
            self.mean_log_tokens,
        )


def build_targets(outcomes: Outcomes, bars: tuple[float, ...], learn_from: npt.NDArray[np.intp]) -> Targets:
    """Turn an outcome table into targets.

    Parameters
    ----------
    outcomes : of n prompts
    bars : quality bars asked for, in (0, 1]
        Bars that no quality lies between are one target: binary outcomes need a single one.
    learn_from : indices of the training prompts
        Only they decide which bars differ and what a model's mean tokens are.
    """
    kept = distinct_bars(outcomes.quality[learn_from], bars)
    known = ~np.isnan(outcomes.quality)
    quality = np.where(known, outcomes.quality, -1.0)
    success = quality[:, :, None] >= kept - 1e-9
    log_tokens = np.log1p(outcomes.output_tokens)
    has_tokens = bool(np.isfinite(log_tokens[learn_from]).any())
    mean_log = _known_mean(log_tokens[learn_from], otherwise=np.log1p(DEFAULT_OUTPUT_TOKENS))
    layers = [success.astype(np.float32)]
    weights = [np.repeat(inverse_propensity_weights(outcomes.propensity, known)[:, :, None], len(kept), axis=2)]
    if has_tokens:
        residual = np.nan_to_num(log_tokens - mean_log)[:, :, None]
        layers.append(residual.astype(np.float32))
        weights.append(np.isfinite(log_tokens)[:, :, None].astype(np.float32))
    prior = np.array([0.5] * len(kept) + [0.0] * has_tokens, dtype=np.float32)
    return Targets(
        outcome=np.concatenate(layers, axis=2),
        weight=np.concatenate(weights, axis=2),
        prior=prior,
        bars=kept.astype(np.float32),
        has_tokens=has_tokens,
        mean_log_tokens=mean_log.astype(np.float32),
    )


def distinct_bars(quality: npt.NDArray[np.float64], bars: tuple[float, ...]) -> npt.NDArray[np.float64]:
    """Drop bars that split the qualities like a higher one does.

    >>> distinct_bars(np.array([[0.0, 1.0]]), (0.5, 0.7, 0.9)).tolist()
    [0.9]
    >>> distinct_bars(np.array([[0.2, 0.6, 0.95]]), (0.5, 0.7, 0.9)).tolist()
    [0.5, 0.9]
    """
    values = quality[~np.isnan(quality)]
    n_met = {bar: int(np.count_nonzero(values >= bar - 1e-9)) for bar in sorted(set(bars))}
    highest_with = {count: bar for bar, count in n_met.items()}
    return np.array(sorted(highest_with.values()))


def inverse_propensity_weights(propensity: npt.NDArray[np.float64], known: npt.NDArray[np.bool_]) -> FloatArray:
    """Weigh known outcomes by one over the probability with which their model was chosen.

    Rows without a propensity (full evaluations) count as certain. Weights are scaled to mean 1 over known
    pairs, after capping them at `MAX_WEIGHT_RATIO` times their median.
    """
    weight = np.where(known, 1 / np.clip(np.nan_to_num(propensity, nan=1.0), 1e-6, 1.0), 0.0)
    if known.any():
        weight = np.minimum(weight, MAX_WEIGHT_RATIO * np.median(weight[known]))
        weight /= weight[known].mean()
    return weight.astype(np.float32)


def _known_mean(values: npt.NDArray[np.float64], *, otherwise: float) -> npt.NDArray[np.float64]:
    """Return the mean of each column over its finite entries.

    The mean of all of them where a column has none, and `otherwise` where nothing is finite.
    """
    finite = np.isfinite(values)
    total = np.where(finite, values, 0.0)
    overall = total.sum() / finite.sum() if finite.any() else otherwise
    count = finite.sum(axis=0)
    return np.asarray(np.where(count > 0, total.sum(axis=0) / np.maximum(count, 1), overall), dtype=np.float64)
