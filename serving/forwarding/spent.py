"""What budgets count of the attempts of one call."""

from dataclasses import dataclass, field

from router_model.serving.decision_log.log_records import AttemptRecord


@dataclass(slots=True)
class Spent:
    """The cost of the attempts so far, as budgets count it.

    Attributes
    ----------
    cost_usd : float
        Of each attempt its cost or, if that was estimated, the greatest possible cost.
    n_attempts : int
        That are over.
    unknown : bool
        Whether an answer began but its cost is unknown; the budget then counts the worst case.
    """

    cost_usd: float = field(default=0.0, init=False)
    n_attempts: int = field(default=0, init=False)
    unknown: bool = field(default=False, init=False)

    def add(self, record: AttemptRecord) -> None:
        """Take an attempt that is over."""
        self.n_attempts += 1
        cost_usd = record.cost_usd if record.budget_usd is None else record.budget_usd
        if cost_usd is not None:
            self.cost_usd += cost_usd
        elif record.error_type is None or record.first_token_s is not None:
            self.unknown = True

    @property
    def settled_usd(self) -> float | None:
        """The amount to settle; None if it is unknown, so that all that was reserved counts."""
        return None if self.unknown else self.cost_usd
