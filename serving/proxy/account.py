"""What one call leaves behind: its attempts in the log and the metrics, and its cost in the caller's budget."""

from collections.abc import Callable
from dataclasses import dataclass, field

from router_model.log_records import AttemptRecord
from serving.access.admission import Admission
from serving.api.parts import Parts
from serving.proxy.speeds import Speeds
from serving.tracing import TracedCall


@dataclass(slots=True)
class Account:
    """Takes the attempts of one call.

    Attributes
    ----------
    parts : Parts
    speeds : Speeds
    is_listed : callable
        Tells whether the catalog or the providers' file names a model.
    admission : Admission
        The caller's place and money for the call.
    traced : TracedCall
    cost_usd : float
        What budgets count of the attempts so far: their cost or, where that was estimated, the greatest it may be.
    n_attempts : int
        That are over.
    unknown : bool
        Whether an answer began of which nobody says what it cost; the budget then takes the worst case.
    """

    parts: Parts
    speeds: Speeds
    is_listed: Callable[[str | None], bool]
    admission: Admission
    traced: TracedCall
    cost_usd: float = field(default=0.0, init=False)
    n_attempts: int = field(default=0, init=False)
    unknown: bool = field(default=False, init=False)

    def observe(self, record: AttemptRecord) -> None:
        """Take an attempt that is over; nothing is waited for."""
        self.n_attempts += 1
        self.parts.log.put(record)
        self.parts.telemetry.count_attempt(record, is_listed=self.is_listed(record.model))
        self.speeds.observe(record)
        self.traced.attempt(record)
        cost_usd = record.cost_usd if record.budget_usd is None else record.budget_usd
        if cost_usd is not None:
            self.cost_usd += cost_usd
        elif record.error_type is None or record.first_token_s is not None:
            self.unknown = True

    def close(self) -> None:
        """Settle what was consumed; again: nothing."""
        self.traced.end()
        self.admission.settle(None if self.unknown else self.cost_usd)
