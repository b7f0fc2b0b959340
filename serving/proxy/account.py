"""Account for one call: tell observers of its attempts, and charge its cost to the caller's budget."""

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Final

from router_model.serving.access.admission import Admission
from router_model.serving.common.log_throttle import LogThrottle
from router_model.serving.decision_log.log_records import AttemptRecord
from router_model.serving.formats.settling import settle
from router_model.serving.forwarding.reply import AttemptObserver, Reply
from router_model.serving.forwarding.spent import Spent
from router_model.serving.monitoring.tracing import TracedCall
from router_model.serving.providers.sent import NOTHING_SENT
from router_model.serving.proxy.admitting import WorstCases

_logger = logging.getLogger(__name__)
_throttle: Final = LogThrottle(60.0)
_NOTED_EVERY_S: Final = 5.0
_NOTHING: Final = Decimal(0)
_UNSAID: Final = ("_missing", "_cut")
"""The ends of reasons without a fault: the provider reported nothing, or the call was cut before its report."""


@dataclass(slots=True)
class Account(Spent):
    """Takes the attempts of one call, and counts what they cost.

    Attributes
    ----------
    observers : are told of every attempt that is over, e.g. the log and the metrics
    admission : Admission
        The caller's place and money for the call.
    traced : TracedCall
    worst_usd : what each candidate may cost at most, by its name; empty if nothing limits the caller
    heard : is told of the reply once all of it is here
    """

    observers: Sequence[AttemptObserver]
    admission: Admission
    traced: TracedCall
    worst_usd: WorstCases = field(default_factory=dict)
    heard: Callable[[Reply], None] | None = field(default=None, init=False)
    _reply: Reply | None = field(default=None, init=False)
    _noted_s: float = field(default=0.0, init=False)

    def observe(self, record: AttemptRecord) -> None:
        """Take an attempt that is over; nothing is waited for."""
        self.add(record)
        for observer in self.observers:
            observer(record)
        self.traced.attempt(record)
        _warn_of_usage(record)
        if self._reply is not None:
            self._end(self._reply)  # its caller may not have read the end yet, and may never do

    def stream(self, reply: Reply) -> None:
        """Record that an answer goes out as a stream: no other candidate is asked any more, so less may be spent."""
        self._reply = reply
        if self.n_attempts == reply.n_attempts:  # all of it is here
            self._end(reply)
        elif reply.target.name in self.worst_usd:
            self.admission.go_on(self.cost_usd, self.worst_usd[reply.target.name])
        self._noted_s = time.monotonic()

    def go_on(self) -> None:
        """Take note, from time to time, of what a stream has cost so far: that is spent, and no longer reserved."""
        if self._reply is None or not self.worst_usd or time.monotonic() - self._noted_s < _NOTED_EVERY_S:
            return
        self._noted_s = time.monotonic()
        facts, target = replace(self._reply.facts), self._reply.target
        settle(facts, target, NOTHING_SENT)
        so_far = facts.cost_usd if facts.budget_usd is None else facts.budget_usd
        if so_far is not None and math.isfinite(so_far):
            self.admission.go_on(self.cost_usd + so_far, max(self.worst_usd[target.name] - Decimal(so_far), _NOTHING))

    def whole(self, reply: Reply) -> None:
        """Record that an answer goes out as a whole."""
        if self.heard is not None:
            self.heard(reply)
        self.close()

    def _end(self, reply: Reply) -> None:
        if self.heard is not None:
            self.heard(reply)
        self.admission.pay(self.settled_usd)

    def close(self) -> None:
        """Settle what was consumed; a second call does nothing."""
        self.traced.end()
        self.admission.settle(self.settled_usd)


def _warn_of_usage(record: AttemptRecord) -> None:
    """Warn of a provider's impossible reports, once a minute for each; the log and the metrics have every call."""
    reasons = record.usage_estimated.split(", ") if record.usage_estimated else ()
    wrong = [reason for reason in reasons if not reason.endswith(_UNSAID)]
    if wrong and (times := _throttle.due(record.provider)):
        _logger.warning(
            "%s:%s reports impossible tokens or an impossible cost (%s), so they were estimated; see "
            "router_usage_estimated_total and docs/proxy.md (%d times)",
            record.provider,
            record.model,
            ", ".join(wrong),
            times,
        )
