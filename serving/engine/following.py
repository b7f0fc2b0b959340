"""Follow slow change between retrains: shift a model's level while feedback shows that its answers have changed.

Feedback is compared with what was predicted of the same model on the same prompt when it was decided, without the shift
of that time. So it does not matter that the policy chose which prompts a model gets, nor whether it explored. Of each
model the last `WINDOW` judged answers count: older ones are forgotten.

**Whether**: the Shiryaev-Roberts statistic. For every number k of last answers, and for offsets of 1/2, 1 and 2 of the
log odds, down and up, it takes the likelihood of their grades under the offset over that without one; it averages over
offsets and adds up over k. While predictions are right, the sum less the number of answers is a martingale, so `ALARM`
is first reached after `ALARM` judged answers of a model or more, on average (Pollak 1987). A grade y between 0 and 1
counts as y successes and 1 - y failures; the sum is then a supermartingale, which is later. Below `ALARM` nothing is
shifted: most of what feedback seems to show is noise, and following it costs quality (docs/decisions/0033).

**How far**: the offset with the largest likelihood on the k answers that speak loudest, times a normal prior of width 1
around 0. It is rounded to `STEP`, and bounded by `Settings.follow_levels`.

**Announced models**, which nobody graded, have an uncertain level to begin with. Every judged answer narrows it: the
offset is the likeliest under a normal prior as wide as the level's error, without an alarm and without a bound, and its
error becomes that of the level.

**False feedback**: a shift must be there without the reports of any one key, and is the smallest of those. Keys with
the role ``feedback-all`` are trusted, as is a service without keys. So a single key that is not trusted moves nothing.

Every worker reads feedback from the log, and finds the same shifts. A restart loses nothing; another artifact begins
anew, as only decisions of the artifact that serves are read.

Simplifies: feedback that reaches the log more than `_LATE` after it was given is missed until the next start. Turns of
one conversation count as independent.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit

from router_model.levels import Levels, Shift, shifted
from router_model.serving.common.error_location import error_location
from router_model.serving.common.log_throttle import LogThrottle
from router_model.serving.common.masking import masked_url
from router_model.serving.common.router_names import DEFAULT_ROUTER
from router_model.serving.common.service_errors import SettingsError
from router_model.serving.common.settings import Settings

_log = logging.getLogger(__name__)

Float64Array = npt.NDArray[np.float64]

WINDOW: Final = 500
"""Judged answers of a model that count."""
ALARM: Final = 3e4
"""The evidence from which a level is shifted."""
STEP: Final = 0.1
"""Shifts are multiples of it, so that decisions do not change with every report: 2.5 points where odds are even."""
_ERROR_STEP: Final = 0.02  # errors of announced models' levels are multiples of it, for the same reason
OFFSETS: Final = np.array([-2.0, -1.0, -0.5, 0.5, 1.0, 2.0])
_SURE: Final = 1e-3  # predictions are kept this far inside (0, 1): one surprise must not be proof
_MOST_LOG: Final = 600.0  # exp of more is infinite
_MOST: Final = 20_000  # reports that are read at once
_LOOK_BACK: Final = timedelta(days=30)
_LATE: Final = timedelta(minutes=10)


class Judged(NamedTuple):
    """A judged answer.

    Attributes
    ----------
    predicted : float
        Its expected quality, without a shift.
    quality : float
    judge : str or None
        The key that judged; None if it is trusted.
    """

    predicted: float
    quality: float
    judge: str | None = None


def level_shift(judged: Sequence[Judged], *, alarm: float = ALARM) -> Shift | None:
    """Return the shift that the last answers of a model show, and that they show without each key's reports.

    Parameters
    ----------
    judged : oldest first
    alarm : see `ALARM`

    Returns
    -------
    Shift or None
        None if they do not show one.

    Examples
    --------
    30 failures in a row, where the model succeeds half of the time, are 2 ** 30 times likelier of one that does not:

    >>> level_shift([Judged(0.5, 0.0)] * 30).log_odds < -2, level_shift([Judged(0.5, 0.0)] * 10)
    (True, None)
    >>> level_shift([Judged(0.5, 0.0, "one key")] * 30)
    """
    found = _shift(judged, alarm)
    for key in {one.judge for one in judged if one.judge is not None}:
        if found is None:
            return None
        without = _shift([one for one in judged if one.judge != key], alarm)
        if without is None or without.log_odds * found.log_odds <= 0:
            return None
        found = min(found, without, key=lambda shift: abs(shift.log_odds))
    return found


def narrowed_level(judged: Sequence[Judged], prior_error: float) -> Shift:
    """Return the shift of an announced model's level that its answers show, and the level's new error.

    Without the reports of any one key that is not trusted, it must be as far, and the level as certain.

    Parameters
    ----------
    judged : oldest first
    prior_error : of the level before, in log odds

    Examples
    --------
    40 answers of which 30 are good, of a model that was expected to succeed half of the time, with an error of 0.5: the
    grades alone say log(3) = 1.1, and with the prior less. One key alone says nothing.

    >>> found = narrowed_level([Judged(0.5, 1.0)] * 30 + [Judged(0.5, 0.0)] * 10, 0.5)
    >>> round(found.log_odds, 2), round(found.error, 2)
    (0.74, 0.28)
    >>> narrowed_level([Judged(0.5, 1.0, "one key")] * 30, 0.5)
    Shift(log_odds=0.0, error=0.5)
    """
    keys = {one.judge for one in judged if one.judge is not None}
    parts = [judged, *([one for one in judged if one.judge != key] for key in keys)]
    found = [_posterior(part, prior_error) for part in parts]
    least = min((one.log_odds for one in found), key=abs)
    same_side = all(one.log_odds * least > 0 for one in found)
    return Shift(least if same_side else 0.0, max(one.error for one in found))


def _posterior(judged: Sequence[Judged], prior_error: float) -> Shift:
    if not judged:
        return Shift(0.0, prior_error)
    p = np.clip([one.predicted for one in judged], _SURE, 1 - _SURE)
    return fitted(logit(p), np.array([one.quality for one in judged]), prior_error=prior_error)


def _shift(judged: Sequence[Judged], alarm: float) -> Shift | None:
    if not judged:
        return None
    newest_first = judged[::-1]
    p = np.clip([one.predicted for one in newest_first], _SURE, 1 - _SURE)
    y = np.array([one.quality for one in newest_first])
    log_odds = logit(p)
    ratios = log_likelihood_ratios(log_odds, y)
    if np.exp(np.minimum(ratios, _MOST_LOG)).mean(axis=1).sum() < alarm:
        return None
    n = int(ratios.max(axis=1).argmax()) + 1
    return fitted(log_odds[:n], y[:n])


def log_likelihood_ratios(log_odds: Float64Array, y: Float64Array) -> Float64Array:
    """Return the log of the likelihood with each offset over that without, of the first k grades for every k.

    Parameters
    ----------
    log_odds, y : shape (n,), predicted and graded

    Returns
    -------
    float64 array, shape (n, n_offsets)

    Examples
    --------
    A failure at even odds has probability 0.5, and 0.731 with odds of 1 to e; a success then has 0.269:

    >>> ratios = log_likelihood_ratios(np.zeros(2), np.array([0.0, 1.0]))
    >>> np.exp(ratios[:, 1]).round(3).tolist(), round(0.731 / 0.5, 3), round(0.731 * 0.269 / 0.25, 3)
    ([1.462, 0.786], 1.462, 0.787)
    """
    there, here = log_odds[:, None] + OFFSETS, log_odds[:, None]
    # log p = x - log(1 + e^x) and log(1 - p) = -log(1 + e^x) at log odds x
    each = y[:, None] * (there - here) - np.logaddexp(0, there) + np.logaddexp(0, here)
    return np.asarray(each.cumsum(axis=0))


def fitted(log_odds: Float64Array, y: Float64Array, *, prior_error: float = 1.0) -> Shift:
    """Return the likeliest offset under a normal prior around 0, by Newton's method, with its standard error.

    Examples
    --------
    Two failures and two successes at even odds show no offset; the information is 4 x 1/4, and 1 of the prior:

    >>> fitted(np.zeros(4), np.array([0.0, 1.0, 0.0, 1.0])) == Shift(0.0, 0.5**0.5)
    True
    """
    precision = prior_error**-2
    offset, information = 0.0, precision
    for _ in range(20):
        p = expit(log_odds + offset)
        information = float((p * (1 - p)).sum()) + precision
        offset += float(np.clip(((y - p).sum() - offset * precision) / information, -1, 1))
    return Shift(offset, information**-0.5)


class LevelFollower:
    """Reads feedback from the log and keeps the levels that it shows.

    Parameters
    ----------
    log : str
        URL of a database.
    most : float
        The largest shift.
    clock : returns seconds since 1970
    router : what the log calls the router that is followed
    """

    def __init__(self, log: str, *, most: float, clock: Callable[[], float], router: str = DEFAULT_ROUTER) -> None:
        self._url = log
        self._router = router
        self._most = most
        self._clock = clock
        self._artifact = ""
        self._announced: Mapping[str, float] = {}
        self._since: datetime | None = None
        self._judged: dict[str, dict[str, Judged]] = {}
        self._levels: Levels | None = None
        self._read_at: float | None = None
        self._failed: str | None = None
        self._throttle = LogThrottle()
        self._turn = asyncio.Lock()

    @classmethod
    def of(
        cls, settings: Settings, *, clock: Callable[[], float], router: str = DEFAULT_ROUTER
    ) -> "LevelFollower | None":
        """Return what the settings ask for; None if levels stay as they were trained.

        Raises
        ------
        SettingsError
            If the log cannot be asked for feedback.
        """
        if not settings.follow_levels:
            return None
        if not settings.log.startswith(("sqlite", "postgres")):
            raise SettingsError(
                f"--follow-levels reads feedback from the log, and {masked_url(settings.log)!r} is no database; "
                "use an sqlite or postgresql log, or leave --follow-levels out"
            )
        return cls(settings.log, most=settings.follow_levels, clock=clock, router=router)

    @property
    def status(self) -> dict[str, Any]:
        """The levels for operators, as plain JSON types."""
        shifts = {} if self._levels is None else self._levels.shifts
        return {
            "max_shift": self._most,
            "shifts": {model: {"log_odds": by.log_odds, "error": round(by.error, 3)} for model, by in shifts.items()},
            "judged": {model: len(answers) for model, answers in self._judged.items()},
            "read_at": self._read_at,
            "failed": self._failed,
        }

    async def read(self, artifact: str, announced: Mapping[str, float] | None = None) -> Levels | None:
        """Return the levels of an artifact's models after what feedback says now; None if none is shifted.

        Where the log cannot be read, they stay as they are.

        Parameters
        ----------
        artifact : content hash
        announced : model -> error of its level
            Candidates that nobody graded.
        """
        async with self._turn:
            self._announced = announced or {}
            if artifact != self._artifact:
                self._artifact, self._since, self._judged, self._levels = artifact, None, {}, None
            try:
                # In a thread: rows are decoded, joined and counted, which takes longer than the event loop may wait.
                self._levels = await asyncio.to_thread(self._found)
            except Exception as exc:  # noqa: BLE001 - whatever it is, deciding goes on
                self._failed = error_location(exc)
                if count := self._throttle.due("levels"):
                    _log.warning("feedback could not be read for levels, %d times: %s", count, self._failed)
            else:
                self._read_at, self._failed = self._clock(), None
            return self._levels

    def _found(self) -> Levels | None:
        if not self._take_new():
            return self._levels
        shifts = {}
        for model, answers in self._judged.items():
            judged = [answers[decision_id] for decision_id in sorted(answers)]
            if model in self._announced:
                found = narrowed_level(judged, self._announced[model])
                error = min(ceil(found.error / _ERROR_STEP) * _ERROR_STEP, self._announced[model])
                shifts[model] = Shift(round(round(found.log_odds / STEP) * STEP, 6), round(error, 6))
                continue
            shift = level_shift(judged)
            if shift is not None and (by := self._rounded(shift.log_odds)):
                shifts[model] = Shift(by, shift.error)
        return Levels(shifts, frozenset(self._announced)) if shifts else None

    def _rounded(self, log_odds: float) -> float:
        return round(round(min(max(log_odds, -self._most), self._most) / STEP) * STEP, 6)

    def _take_new(self) -> bool:
        """Take in what was judged since the last time; return whether there was something."""
        from router_model.serving.decision_log.judged import judged_lately  # noqa: PLC0415  (polars, if it is needed)

        since = self._since or datetime.fromtimestamp(self._clock(), UTC) - _LOOK_BACK
        lately = judged_lately(self._url, artifact=self._artifact, since=since, most=_MOST, router=self._router)
        if lately is None:
            return False
        wanted = ["decision_id", "called", "quality", "judge", "expected_quality", "level_shift"]
        known = lately.calls.drop_nulls(["called", "quality", "expected_quality"])
        for decision_id, model, quality, judge, expected, shift in known.select(wanted).iter_rows():
            predicted = float(shifted(expected, -(shift or 0.0)))
            self._judged.setdefault(model, {})[decision_id] = Judged(predicted, quality, judge)
        for model, answers in self._judged.items():
            # Ids sort by time.
            self._judged[model] = {decision_id: answers[decision_id] for decision_id in sorted(answers)[-WINDOW:]}
        self._since = max(since, lately.newest - _LATE)
        return True
