"""An admitted call of a model: it holds a slot and reserved money until it ends."""

from collections.abc import Callable
from decimal import Decimal
from typing import Self

from router_model.serving.access.budgets import Reservation


class Admission:
    """The slot and the money that one call of a caller holds.

    It ends with the first of `settle` and `release`; as a context manager it is released if nothing settled it.

    Attributes
    ----------
    reservation : Reservation or None
        None if nothing limits what the caller spends.
    on_end : gives the caller's slot back

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
        """Record what the call has cost so far, and what it may still cost."""
        if self.reservation is not None:
            self.reservation.go_on(cost_usd, left_usd)

    def pay(self, cost_usd: float | None) -> None:
        """Record what the call cost, once its provider's part has ended; the slot is kept until `settle`."""
        if self.reservation is not None:
            self.reservation.settle(cost_usd)

    def settle(self, cost_usd: float | None) -> None:
        """End the call, its stream included, and record what all attempts together cost.

        Parameters
        ----------
        cost_usd : float or None
            None: it cost something, but the amount is unknown; it counts as the worst case.
        """
        self.pay(cost_usd)
        # A second `settle` must not give back a slot that another call has taken since.
        on_end, self.on_end = self.on_end, None
        if on_end is not None:
            on_end()

    def release(self) -> None:
        """End the call at no cost; does nothing if the call has been released or settled already."""
        self.settle(0.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
