"""Limits of a key: requests per minute, feedback per day, and calls of models at the same time.

Requests are counted by a bucket that holds a minute's worth and fills up evenly (the generic cell rate algorithm, ITU-T
I.371), in integers: exact at the boundary. It remembers one number per key. Feedback is counted by the day, UTC.

Each process counts separately. If there are several workers, each gets its share of a limit, rounded up.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from datetime import time as day_time
from typing import Final

from router_model.serving.common.retry_after import retry_after_text

MINUTE_NS: Final = 60_000_000_000
NS: Final = 1_000_000_000
MINUTE_S: Final = 60


@dataclass(frozen=True, slots=True)
class Standing:
    """The state of a key's limit after a request.

    Attributes
    ----------
    allowed : bool
    limit, remaining : requests
    reset_s : seconds until the whole limit is available again
    retry_after_s : seconds until asking again makes sense; 0 if it was allowed
    """

    allowed: bool
    limit: int
    remaining: int
    reset_s: float
    retry_after_s: float = 0.0

    def headers(self) -> dict[str, str]:
        """Return the headers that OpenAI sends, and ``Retry-After`` in whole seconds if it was refused."""
        headers = {
            "x-ratelimit-limit-requests": str(self.limit),
            "x-ratelimit-remaining-requests": str(self.remaining),
            "x-ratelimit-reset-requests": format_duration(self.reset_s),
        }
        if not self.allowed:
            headers["retry-after"] = retry_after_text(self.retry_after_s)
        return headers


class MinuteBucket:
    """Counts one key's requests.

    Parameters
    ----------
    limit : requests per minute, at least 1

    Notes
    -----
    With time in units of 1 / `limit` ns, each request takes 60e9 of them, and the bucket holds `limit` requests. It
    keeps the time at which it will be full again; a request fits if that is then at most a minute away. In any t
    minutes there are at most (1 + t) `limit` requests: a full bucket, and what flows in.

    Examples
    --------
    >>> bucket = MinuteBucket(2)
    >>> [bucket.take(now_ns=0).allowed for _ in range(3)]
    [True, True, False]
    >>> bucket.take(now_ns=30 * 10**9 - 1).allowed, bucket.take(now_ns=30 * 10**9).allowed
    (False, True)
    """

    __slots__ = ("_full_at", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._full_at: int | None = None

    def take(self, now_ns: int) -> Standing:
        """Take one request out, if there is one."""
        limit = self.limit
        now, size = now_ns * limit, MINUTE_NS * limit
        used = max(self._full_at - now, 0) if self._full_at is not None else 0
        if used + MINUTE_NS > size:
            return Standing(False, limit, 0, used / limit / NS, (used + MINUTE_NS - size) / limit / NS)
        used += MINUTE_NS
        self._full_at = now + used
        return Standing(True, limit, (size - used) // MINUTE_NS, used / limit / NS)


class DayCount:
    """Counts one key's feedback of a day, UTC.

    Parameters
    ----------
    limit : feedback per day, 0 for none at all

    Examples
    --------
    >>> count = DayCount(1)
    >>> noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    >>> count.take(noon).allowed, count.take(noon).retry_after_s, count.take(noon + timedelta(hours=12)).allowed
    (True, 43200.0, True)
    """

    __slots__ = ("_day", "_n", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._day = 0
        self._n = 0

    def take(self, now: datetime) -> Standing:
        """Take one feedback out, if there is one left today."""
        day = now.toordinal()
        if day > self._day:  # a clock that is set back must not grant a second allowance for the same day
            self._day, self._n = day, 0
        midnight = datetime.combine(now.date() + timedelta(days=1), day_time(), UTC)
        reset_s = (midnight - now).total_seconds()
        if self._n >= self.limit:
            return Standing(False, self.limit, 0, reset_s, reset_s)
        self._n += 1
        return Standing(True, self.limit, self.limit - self._n, reset_s)


class Limits:
    """Counts each key's requests, feedback and calls in this process.

    Parameters
    ----------
    requests_per_minute : int or None
        For keys without a limit of their own; None: no limit.
    feedback_per_day : int
        For keys without a limit of their own.
    workers : int
        Processes that share the limits.
    clock_ns : nanoseconds, monotonic
    now : UTC
    """

    def __init__(
        self,
        *,
        requests_per_minute: int | None = None,
        feedback_per_day: int = 100_000,
        workers: int = 1,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._requests_per_minute = requests_per_minute
        self._feedback_per_day = feedback_per_day
        self._workers = workers
        self._clock_ns = clock_ns
        self._now = now
        self._requests: dict[str, MinuteBucket] = {}
        self._feedback: dict[str, DayCount] = {}
        self._under_way: dict[str, int] = {}

    def take_request(self, key_id: str, own_limit: int | None) -> Standing | None:
        """Count a request of a key; None if it has no limit."""
        limit = self._requests_per_minute if own_limit is None else own_limit
        if limit is None:
            return None
        limit = share(limit, self._workers)
        bucket = self._requests.get(key_id)
        # A bucket counts time in units of 1 / limit ns, so its state means nothing under another limit.
        if bucket is None or bucket.limit != limit:
            bucket = self._requests[key_id] = MinuteBucket(limit)
        return bucket.take(self._clock_ns())

    def take_feedback(self, key_id: str, own_limit: int | None) -> Standing:
        """Count one feedback of a key."""
        limit = share(self._feedback_per_day if own_limit is None else own_limit, self._workers)
        count = self._feedback.get(key_id)
        if count is None:
            count = self._feedback[key_id] = DayCount(limit)
        # The count is kept when the limit changes; a new one would grant a second allowance for the same day.
        count.limit = limit
        return count.take(self._now())

    def begin_call(self, key_id: str, limit: int) -> bool:
        """Count the start of a call of a model; False if the limit of calls under way is reached."""
        n = self._under_way.get(key_id, 0)
        if n >= share(limit, self._workers):
            return False
        self._under_way[key_id] = n + 1
        return True

    def end_call(self, key_id: str) -> None:
        """Count the end of a call that `begin_call` allowed."""
        n = self._under_way[key_id] - 1
        if n:
            self._under_way[key_id] = n
        else:
            del self._under_way[key_id]

    def forget_others(self, key_ids: frozenset[str]) -> None:
        """Forget all keys but these, so that memory is bounded by the key file."""
        # Not `_under_way`: `end_call` still needs the entry of a call under way, and removes the last one itself.
        for counted in (self._requests, self._feedback):
            for key_id in counted.keys() - key_ids:
                del counted[key_id]


def share(limit: int, workers: int) -> int:
    """Return one process's share of a limit, rounded up.

    Examples
    --------
    >>> share(100, 3)
    34
    """
    # Rounded down, a limit below the number of workers would be 0, and the key could do nothing.
    return -(-limit // workers)


def format_duration(seconds: float) -> str:
    """Return seconds as OpenAI's headers do.

    Examples
    --------
    >>> [format_duration(seconds) for seconds in (0, 0.0171, 1.5, 90, 43200)]
    ['0s', '18ms', '1.5s', '1m30s', '12h0m0s']
    """
    milliseconds = math.ceil(seconds * 1000)
    if 0 < milliseconds < 1000:  # noqa: PLR2004
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds, 1000 * MINUTE_S)
    hours, minutes = divmod(minutes, MINUTE_S)
    text = f"{rest / 1000:g}s"
    if hours or minutes:
        text = f"{minutes}m{text}"
    return f"{hours}h{text}" if hours else text
