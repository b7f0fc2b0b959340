"""Fair shares of a limited resource: one caller cannot take so much that others get nothing."""

import threading
from collections import Counter
from typing import Final

from router_model.serving.common.callers import INSECURE

_ALONE: Final = frozenset({None, INSECURE.key_id})


class Shares:
    """Counts what each caller holds of `most` pieces; from any thread.

    A quarter is kept for others: one caller gets three quarters at most, rounded up. A service that runs without keys
    has one caller, who gets all.

    Examples
    --------
    >>> shares = Shares(4)
    >>> [shares.take("ann") for _ in range(4)], shares.take("bob"), shares.take("cyd")
    ([True, True, True, False], True, False)
    >>> shares.give("ann")
    >>> shares.take("cyd")
    True
    """

    __slots__ = ("_held", "_lock", "_n_held", "most", "most_of_one")

    def __init__(self, most: float) -> None:
        self.most = most
        self.most_of_one = most - most // 4
        self._held: Counter[str | None] = Counter()
        self._n_held = 0
        self._lock = threading.Lock()

    def take(self, caller: str | None, amount: int = 1) -> bool:
        """Give a caller so many pieces; False if there are not so many, or it holds too many already."""
        with self._lock:
            most_of_one = self.most if caller in _ALONE else self.most_of_one
            if self._n_held + amount > self.most or self._held[caller] + amount > most_of_one:
                return False
            self._held[caller] += amount
            self._n_held += amount
            return True

    def give(self, caller: str | None, amount: int = 1) -> None:
        """Take pieces back."""
        with self._lock:
            self._held[caller] -= amount
            self._n_held -= amount
            # Callers come and go, so zeros would gather without end.
            if not self._held[caller]:
                del self._held[caller]
