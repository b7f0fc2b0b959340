"""Predictions for many prompts and all candidates, as arrays: what rules rank, and what plans read."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isnan
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from router_model.summary import Summarised, Summary
from router_model.wording import usd

_OF_MODELS: Final = ("level_error", "caution")
"""Fields with a number a model, and none a prompt."""


@dataclass(frozen=True, slots=True, repr=False)
class PredictionTable(Summarised):
    """Predictions for n prompts x m models.

    Attributes
    ----------
    models : m ids
    p_success : float64 array, shape (n, m)
        Calibrated P(quality >= bar).
    expected_cost_usd : float64 array, shape (n, m)
        Expected cost of one call, in USD.
    expected_output_tokens : float64 array, shape (n, m)
    familiarity : float64 array, shape (n,)
        Cosine similarity of the nearest logged prompt.
    quality_bar : float
    trust : float64 array, shape (n,), or None
        How much the predicted differences between models on this prompt count, 0 to 1. It is exactly 0 if the router
        abstains and relies on the models' overall records.
    p_interval : float64 array, shape (n, m, 2), or None
        See `PlanStep`.
    output_token_quantiles : float64 array, shape (n, m, 3), or None
    expected_latency_s : float64 array, shape (n, m), or None
    expected_quality : float64 array, shape (n, m), or None
    level_error : float64 array, shape (m,), or None
        Standard errors of announced models' levels, in log odds; NaN of graded models. None: all are graded.
    caution : float64 array, shape (m,), or None
        Log odds that decisions take off announced models' levels; 0 of graded models. None: all are graded.
    """

    models: tuple[str, ...]
    p_success: npt.NDArray[np.float64]
    expected_cost_usd: npt.NDArray[np.float64]
    expected_output_tokens: npt.NDArray[np.float64]
    familiarity: npt.NDArray[np.float64]
    quality_bar: float
    trust: npt.NDArray[np.float64] | None = None
    p_interval: npt.NDArray[np.float64] | None = None
    output_token_quantiles: npt.NDArray[np.float64] | None = None
    expected_latency_s: npt.NDArray[np.float64] | None = None
    expected_quality: npt.NDArray[np.float64] | None = None
    level_error: npt.NDArray[np.float64] | None = None
    caution: npt.NDArray[np.float64] | None = None

    def summary(self) -> Summary:
        """Return the means of every model, the likeliest first."""
        p, cost, tokens = (
            a.mean(axis=0) for a in (self.p_success, self.expected_cost_usd, self.expected_output_tokens)
        )
        rows = [(self.models[at], f"{p[at]:.3f}", usd(cost[at]), f"{tokens[at]:.0f}") for at in np.argsort(-p)]
        return Summary(
            f"PredictionTable of {len(self.p_success):,} prompts x {len(self.models):,} models",
            ("mean of", f"P(quality >= {self.quality_bar:g})", "expected cost", "output tokens"),
            rows,
        )

    def values(self, name: str, row: int, columns: npt.NDArray[np.intp]) -> list[Any]:
        """Return a field of `PlanStep` for some models on one prompt, as Python numbers in the order of `columns`.

        None stands for what is not known.
        """
        known = getattr(self, name)
        if name in _OF_MODELS:  # the same on all prompts
            known = known if known is None else known[None, :]
            row = 0
        if known is None:
            return [0.0 if name == "caution" else None] * len(columns)
        numbers = known[row].take(columns, axis=0).tolist()  # as a whole: one by one takes ten times as long
        if name == "level_error":
            return [None if isnan(error) else error for error in numbers]
        return [*map(tuple, numbers)] if known.ndim == 3 else numbers  # noqa: PLR2004  intervals and quantiles

    @property
    def mean_quality(self) -> npt.NDArray[np.float64]:
        """The expected quality if it is known, else the probability of success, shape (n, m)."""
        return self.p_success if self.expected_quality is None else self.expected_quality

    @property
    def announced(self) -> npt.NDArray[np.bool_]:
        """Which models nobody graded, shape (m,)."""
        return np.zeros(len(self.models), dtype=bool) if self.level_error is None else ~np.isnan(self.level_error)

    def cautious(self) -> "PredictionTable":
        """Return the predictions that rules weigh: announced models at the lower ends of their levels.

        The best of many estimates is too high. Weighed like this, no announced model is chosen for its luck: with 95 %,
        none of them has a level below that at which it is weighed.
        """
        if self.caution is None:
            return self
        by = self.caution
        quality = None if self.expected_quality is None else lowered(self.expected_quality, by)
        return replace(
            self, p_success=lowered(self.p_success, by), expected_quality=quality, level_error=None, caution=None
        )

    @property
    def abstained(self) -> npt.NDArray[np.bool_]:
        """Which prompts are too unlike the logged ones to tell models apart, shape (n,)."""
        return np.zeros(len(self.p_success), dtype=bool) if self.trust is None else self.trust == 0

    def abstains(self, row: int) -> bool:
        """Whether one prompt is too unlike the logged ones to tell models apart."""
        return self.trust is not None and bool(self.trust[row] == 0)

    @classmethod
    def concatenate(cls, tables: "Sequence[PredictionTable]") -> "PredictionTable":
        """Join tables of the same models and bar."""
        known = [(name, [getattr(table, name) for table in tables]) for name in cls._of_prompts()]
        joined: dict[str, Any] = {name: np.concatenate(parts) for name, parts in known if parts[0] is not None}
        return replace(tables[0], **joined)

    def take(self, rows: npt.NDArray[np.intp]) -> "PredictionTable":
        """Return the predictions for some prompts."""
        known = [(name, getattr(self, name)) for name in self._of_prompts()]
        taken: dict[str, Any] = {name: values[rows] for name, values in known if values is not None}
        return replace(self, **taken)

    @classmethod
    def _of_prompts(cls) -> list[str]:
        return [name for name in cls.__dataclass_fields__ if name not in ("models", "quality_bar", *_OF_MODELS)]


def lowered(p: npt.NDArray[np.float64], log_odds: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return probabilities with some log odds taken off.

    Parameters
    ----------
    p : shape (..., n_models)
    log_odds : shape (n_models,)

    Examples
    --------
    Even odds, less 0.82 log odds:

    >>> round(float(lowered(np.array(0.5), np.array(0.82))), 3)
    0.306
    """
    odds = np.exp(-log_odds)
    return np.asarray(p * odds / (1 - p + p * odds), dtype=np.float64)
