"""A budget: an amount in dollars for a number of requests or for a period of time."""

import math
from dataclasses import dataclass

from router_model.errors import RequestError


@dataclass(frozen=True, slots=True)
class PacingBudget:
    """What may be spent in a period, again and again.

    What a period overspends is taken from the next one; what it leaves over lapses.

    Attributes
    ----------
    usd : float
        For a whole period.
    n_requests : int
        Length of the period; with `period_s` a first guess of how many requests it brings.
    period_s : float or None
        Length in seconds, e.g. 86,400 for a daily budget; None where requests are counted.

    Examples
    --------
    >>> PacingBudget.per_request(0.002, n_requests=500)
    PacingBudget(usd=1.0, n_requests=500, period_s=None)
    """

    usd: float
    n_requests: int
    period_s: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.usd < math.inf:
            raise RequestError(f"budget of {self.usd!r} USD; expected a positive amount")
        if self.n_requests < 1:
            raise RequestError(f"a budget over n_requests={self.n_requests!r}; expected 1 or more")
        if self.period_s is not None and not 0 < self.period_s < math.inf:
            raise RequestError(f"a budget over period_s={self.period_s!r}; expected a positive number of seconds")

    @classmethod
    def per_request(cls, limit_usd_per_request: float, *, n_requests: int = 1000) -> "PacingBudget":
        """Return a limit on the mean cost of a request, kept over every `n_requests` of them."""
        return cls(limit_usd_per_request * n_requests, n_requests)
