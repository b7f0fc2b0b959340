"""A circuit breaker: after failures it stops calls for a while, then lets one try through."""

from dataclasses import dataclass


@dataclass(slots=True)
class Breaker:
    """Says whether to try: after a failure not before a pause is over, and then once (half-open).

    Attributes
    ----------
    first_pause_s, longest_pause_s : float
        The pause doubles with each failure in a row, from the one up to the other.

    Examples
    --------
    >>> breaker = Breaker(1.0)
    >>> breaker.fail(now=10.0)
    >>> breaker.allows(now=10.5), breaker.allows(now=11.0), breaker.allows(now=11.1)
    (False, True, False)
    >>> breaker.succeed()
    >>> breaker.allows(now=11.2)
    True
    """

    first_pause_s: float
    pause_s: float = 0.0
    retry_at: float | None = None
    longest_pause_s: float = 5.0

    @property
    def is_open(self) -> bool:
        """Whether the last try failed."""
        return self.retry_at is not None

    def allows(self, now: float) -> bool:
        """Tell whether to try now; an open breaker lets one through and waits for what becomes of it."""
        if self.retry_at is None:
            return True
        if now < self.retry_at:
            return False
        # If the try never ends, the next one is let through after another pause.
        self.retry_at = now + self.pause_s
        return True

    def fail(self, now: float, *, pause_s: float | None = None) -> None:
        """Open; `pause_s` is a pause that somebody asked for, which leaves the next one of ours as it is."""
        if pause_s is None:
            # A first pause that is longer than the longest one must not get shorter with more failures.
            longest = max(self.longest_pause_s, self.first_pause_s)
            pause_s = self.pause_s = min(2 * self.pause_s, longest) if self.pause_s else self.first_pause_s
        self.retry_at = now + pause_s

    def succeed(self) -> None:
        """Close."""
        self.retry_at = None
        self.pause_s = 0.0
