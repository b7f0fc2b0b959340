"""What one call leaves behind: its attempts in the log and the metrics, and its cost in the caller's budget."""

from dataclasses import dataclass, field
from typing import Protocol

from router_model.log_records import AttemptRecord
from serving.api.parts import Parts
from serving.proxy.speeds import Speeds


class Reservation(Protocol):
    """Money set aside for a call; see `serving.access.budgets`."""

    def settle(self, usd: float) -> None:
        """Replace what was set aside by what the call cost."""

    def release(self) -> None:
        """Give it back: the call cost nothing."""


@dataclass(slots=True)
class Account:
    """Takes the attempts of one call.

    Attributes
    ----------
    parts : Parts
    speeds : Speeds
    reserved_usd : float
        The most that the call can cost; where an answer began and nobody says what it cost, it is taken to be this.
    reservation : Reservation or None
        None: the caller has no budget.
    cost_usd : float
        Of the attempts so far.
    """

    parts: Parts
    speeds: Speeds
    reserved_usd: float = 0.0
    reservation: Reservation | None = None
    cost_usd: float = 0.0
    _unknown: bool = field(default=False, init=False)
    _closed: bool = field(default=False, init=False)

    def observe(self, record: AttemptRecord) -> None:
        """Take an attempt that is over; nothing is waited for."""
        self.parts.log.put(record)
        self.parts.telemetry.count_outcome(record, providers=self.parts.providers)
        self.speeds.observe(record)
        if record.cost_usd is not None:
            self.cost_usd += record.cost_usd
        elif record.error_type is None or record.first_token_s is not None:
            self._unknown = True

    def close(self) -> None:
        """Settle with the budget what was consumed; again: nothing."""
        if self.reservation is None or self._closed:
            return
        self._closed = True
        usd = max(self.cost_usd, self.reserved_usd) if self._unknown else self.cost_usd
        if usd > 0:
            self.reservation.settle(usd)
        else:
            self.reservation.release()
