"""An admitted call of a model: it holds a slot and reserved money until it ends."""

from collections.abc import Callable
from decimal import Decimal
from typing import Self

from router_model.serving.access.budgets import Reservation


class Admission:
    """Holds the caller's place and money for one call.

    It ends with the first of `settle` and `release`; as a context manager it is released where nothing settled it.

    Attributes
    ----------
    reservation : Reservation or None
        None where nothing limits what the caller spends.
    on_end : gives the caller's place back

    Examples
    --------
    >>> with Admission() as admission:
    ...     admission.settle(0.002)
    """

    __slots__ = ("on_end", "reservation")

    def __init__(self) -> None:
        self.reservation: Reservation | None = None
        self.on_end: Callable[[], None] | None = None

    def go_on(self, cost_usd: float, left_usd: Decimal) -> None:
        """Say what the call has cost so far, and what it may still cost."""
        if self.reservation is not None:
            self.reservation.go_on(cost_usd, left_usd)

    def pay(self, cost_usd: float | None) -> None:
        """Say what the call cost, once its provider's part has ended; its place is kept until `settle`."""
        if self.reservation is not None:
            self.reservation.settle(cost_usd)

    def settle(self, cost_usd: float | None) -> None:
        """Say that the call has ended, a stream's end included, and what it cost, all attempts together.

        Parameters
        ----------
        cost_usd : float or None
            None: it cost something, and nobody knows how much; that counts as the worst case.
        """
        self.pay(cost_usd)
        on_end, self.on_end = self.on_end, None
        if on_end is not None:
            on_end()

    def release(self) -> None:
        """Say that the call has ended, and that it cost nothing; again, or once it is settled: nothing."""
        self.settle(0.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
