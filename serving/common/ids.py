"""Ids that sort by time: a prefix and a UUIDv7 (RFC 9562), monotonic within a process."""

import os
import threading
import time
from collections.abc import Callable
from random import Random
from typing import Final

UNSECRET: Final = Random()  # noqa: S311  (no secrets)
"""Draws ids that are nobody's secret, without a system call; no program's seed repeats them."""
_LARGEST_COUNT = 0xFFF


class IdMaker:
    """Makes ids; threads may share one.

    48 bits of milliseconds, 12 bits that count within a millisecond from a random start (RFC 9562, 6.2, method 1), 62
    random bits. A clock that goes backwards is not followed: ids keep their order, and catch up.

    Parameters
    ----------
    prefix : str
    clock_ms : returns milliseconds since 1970
    random_bytes : returns that many random bytes

    Examples
    --------
    >>> IdMaker("dec_", clock_ms=lambda: 0x0123456789AB, random_bytes=lambda n: bytes(n))()
    'dec_0123456789ab70008000000000000000'
    """

    def __init__(
        self,
        prefix: str,
        *,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._prefix = prefix
        self._clock_ms = clock_ms
        self._random_bytes = random_bytes
        self._lock = threading.Lock()
        self._last_ms = -1
        self._count = 0

    def __call__(self) -> str:
        """Return the next id: the prefix and 32 hexadecimal digits."""
        drawn = int.from_bytes(self._random_bytes(10), "big")
        with self._lock:
            now_ms, self._count = self._clock_ms(), self._count + 1
            if now_ms > self._last_ms:
                self._last_ms, self._count = now_ms, drawn >> 69  # 11 bits: room to count before the 12th is full
            elif self._count > _LARGEST_COUNT:
                # The count is full, so the id takes the next millisecond, because ids must rise within a process.
                self._last_ms, self._count = self._last_ms + 1, 0
            high = self._last_ms << 16 | 0x7 << 12 | self._count
        low = 0b10 << 62 | drawn & (1 << 62) - 1
        return f"{self._prefix}{high:016x}{low:016x}"
