"""The keys of one provider, in turn; one that is refused or limited is left alone for a while."""

import logging
import time
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Final

DEAD_S: Final = 3600.0
"""How long a key is left alone that the provider refused; it may have been paid for in the meantime."""
LONGEST_PAUSE_S: Final = 3600.0

_logger = logging.getLogger(__name__)


class KeyRing:
    """Keys in turn; see `serving.providers.providers.KeyRing`.

    Parameters
    ----------
    keys : environment variable -> key
        The same key under two names counts once.
    clock : seconds that only go forward

    Examples
    --------
    >>> ring = KeyRing({"KEY": "a", "KEY_2": "b"})
    >>> ring.take(), ring.take(), ring.take()
    ('a', 'b', 'a')
    >>> ring.kill("b")
    >>> ring.take(), ring.take(), ring.states()
    ('a', 'a', {'KEY': 'ok', 'KEY_2': 'dead'})
    """

    def __init__(self, keys: Mapping[str, str], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._names = {key: name for name, key in reversed(list(keys.items()))}
        self._keys = tuple(dict.fromkeys(keys.values()))
        self._clock = clock
        self._next = 0
        self._dead_until: dict[str, float] = {}
        self._paused_until: dict[str, float] = {}

    @property
    def needs_none(self) -> bool:
        """Whether the provider is called without a key."""
        return not self._keys

    def take(self) -> str | None:
        """Return the key to use now, in turn; None where none is left."""
        now_s = self._clock()
        for _ in self._keys:
            key = self._keys[self._next]
            self._next = (self._next + 1) % len(self._keys)
            if self._free_at(key) <= now_s:
                return key
        return None

    def kill(self, key: str) -> None:
        """Leave a key alone for `DEAD_S` seconds, or until the keys are read again."""
        if key in self._names and self._state(key, self._clock()) != "dead":
            _logger.warning(
                "the key in %s was refused: it is left alone for an hour, or until POST /admin/reload", self._names[key]
            )
        self._dead_until[key] = self._clock() + DEAD_S

    def pause(self, key: str, seconds: float) -> None:
        """Leave a key alone for so long, `LONGEST_PAUSE_S` seconds at most; a longer pause of before stays."""
        seconds = min(max(seconds, 0.0), LONGEST_PAUSE_S) if isfinite(seconds) else LONGEST_PAUSE_S
        self._paused_until[key] = max(self._clock() + seconds, self._paused_until.get(key, 0.0))

    def states(self) -> dict[str, str]:
        """Return ``ok``, ``paused`` or ``dead`` by environment variable; never a key."""
        now_s = self._clock()
        return {self._names[key]: self._state(key, now_s) for key in self._keys}

    def _free_at(self, key: str) -> float:
        return max(self._dead_until.get(key, float("-inf")), self._paused_until.get(key, float("-inf")))

    def _state(self, key: str, now_s: float) -> str:
        if self._dead_until.get(key, float("-inf")) > now_s:
            return "dead"
        return "paused" if self._free_at(key) > now_s else "ok"
