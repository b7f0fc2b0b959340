"""Shifts of models' levels: what feedback has shown, since the training, of how well each model answers.

A model may become better or worse while a router serves. Until the next training, its predictions can be shifted: the
same offset is added to the log odds of its probability of success and of its expected quality, on every prompt.
`router_model.serving.engine.following` finds the offsets. Nothing else of the router changes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from router_model.decision import Decision
from router_model.explanation_records import SuccessExplanation
from router_model.policy import Rule
from router_model.prediction.uncertainty import Z
from router_model.prediction_table import PredictionTable

Float64Array = npt.NDArray[np.float64]

_EDGE = 1e-12  # probabilities are kept this far inside (0, 1)


@dataclass(frozen=True, slots=True)
class Shift:
    """The shift of one model's level.

    Attributes
    ----------
    log_odds : float
        Added to the log odds.
    error : float
        Its standard error; of an announced model, that of the level which it leads to.
    """

    log_odds: float
    error: float


@dataclass(frozen=True, slots=True)
class Levels:
    """The levels that are shifted.

    Attributes
    ----------
    shifts : model -> Shift
        Models that are not named keep the level that they were trained with.
    announced : ids
        Those among them that nobody graded before: no promise was made with them.
    """

    shifts: Mapping[str, Shift]
    announced: frozenset[str] = frozenset()

    def log_odds(self, model: str) -> float:
        """Return the shift of a model; 0 if its level is not shifted."""
        return self.shifts[model].log_odds if model in self.shifts else 0.0

    def apply(self, table: PredictionTable) -> PredictionTable:
        """Shift predictions.

        The ends of an interval are shifted, too, and move apart: the error of the shift is independent of what the
        interval stood for, so squares add up. Of an announced model, the error takes the place of that of its level:
        feedback made it smaller. What is taken off because it may be the luckiest of many was said of the level before,
        so it fades as the weight of that level in the new one does.

        Examples
        --------
        Odds of 9 to 1 become odds of 9 to 3: log odds of 2.2 less 1.1.

        >>> table = PredictionTable(("a", "b"), np.array([[0.9, 0.5]]), *np.zeros((2, 1, 2)), np.ones(1), 0.5)
        >>> Levels({"a": Shift(-np.log(3), 0.1)}).apply(table).p_success.round(3).tolist()
        [[0.75, 0.5]]
        """
        known = [self.shifts.get(model, Shift(0.0, 0.0)) for model in table.models]
        by, error = np.array([one.log_odds for one in known]), np.array([one.error for one in known])
        moved = (by != 0) | (error != 0)
        p = np.where(moved, shifted(table.p_success, by), table.p_success)
        quality, interval, known_error = table.expected_quality, table.p_interval, table.level_error
        before, caution = np.zeros_like(error), table.caution
        if known_error is not None:
            announced = moved & table.announced
            before = np.where(announced, known_error, 0.0)
            if caution is not None:
                weight_before = (error / np.where(announced, known_error, 1.0)) ** 2
                caution = np.where(announced, Z * error + (caution - Z * before) * weight_before, caution)
            known_error = np.where(announced, error, known_error)
        if quality is not None:
            quality = np.where(moved, shifted(quality, by), quality)
        if interval is not None:
            ends = _logit(interval)
            half = np.sqrt((((ends[..., 1] - ends[..., 0]) / 2) ** 2 + Z**2 * (error**2 - before**2)).clip(0))
            middle = _logit(table.p_success) + by
            wider = np.stack([expit(middle - half), expit(middle + half)], axis=-1)
            interval = np.where(moved[:, None], wider, interval)
        return replace(
            table, p_success=p, expected_quality=quality, p_interval=interval, level_error=known_error, caution=caution
        )

    def rule(self, rule: Rule) -> Rule:
        """Return what is left of a rule: promises were made at the levels of the training.

        No certificate holds any more. A model that goes first whatever the predictions does so unless its own level
        fell, or another one's rose. A certified value of success still weighs success against cost. Promises were made
        without announced models, so these change none; but one that rose may displace the model that always goes first.
        """
        first = rule.first_model
        if not self.shifts.keys() - self.announced:
            displaced = rule.always_model is not None and self._displaces(rule.always_model)
            return replace(rule, always_model=None) if displaced else rule
        if first is not None and not self._displaces(first):
            return rule
        return replace(rule, certificate=None, always_model=None)

    def _displaces(self, model: str) -> bool:
        return any(shift.log_odds < 0 if name == model else shift.log_odds > 0 for name, shift in self.shifts.items())

    def explain(self, decision: Decision) -> Decision:
        """Add the shifts to the explanation of a decision, whose parts then add up again: a part of the calibration."""
        if decision.explanation is None:
            return decision
        chosen, runner_up = (
            explained and self._explained(explained)
            for explained in (decision.explanation.chosen, decision.explanation.runner_up)
        )
        return replace(decision, explanation=replace(decision.explanation, chosen=chosen, runner_up=runner_up))

    def _explained(self, explained: SuccessExplanation) -> SuccessExplanation:
        by = self.log_odds(explained.model)
        return replace(
            explained,
            p_success=float(expit(explained.log_odds + by)),
            log_odds=explained.log_odds + by,
            calibration=explained.calibration + by,
        )


def shifted(p: npt.ArrayLike, log_odds: npt.ArrayLike) -> Float64Array:
    """Return probabilities whose log odds are shifted; the opposite shift gives them back.

    Examples
    --------
    >>> there = shifted([0.5, 0.9], -1.0)
    >>> there.round(3).tolist(), shifted(there, 1.0).round(3).tolist()
    ([0.269, 0.768], [0.5, 0.9])
    """
    return np.asarray(expit(_logit(p) + np.asarray(log_odds)), dtype=np.float64)


def _logit(p: npt.ArrayLike) -> Float64Array:
    inside = np.clip(np.asarray(p, dtype=np.float64), _EDGE, 1 - _EDGE)
    return np.asarray(np.log(inside) - np.log1p(-inside))
