"""What was seen of one fault, and which promises it broke."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from faults import Fault
from load import Answer

OF_A_BUSY_MACHINE: Final = frozenset({"RouterSlowDecisions", "RouterDefaultPlan", "RouterDown", "RouterNotReady"})
"""Alerts that may tell of other work on the same processors: a tenth of a second is soon over where tests run beside
it, and so are the five seconds that a start or a scrape may take. A fault that has to cause one is held to it."""
OF_PROVIDERS: Final = frozenset({"chat", "stream"})
"""Kinds of requests that need a provider."""
SLOW_S: Final = 30.0
"""A caller who waits longer for an answer has been let down, whatever the machine."""


@dataclass(frozen=True)
class Row:
    """One fault.

    Attributes
    ----------
    fault : Fault
    seconds : float
        From its beginning until all was well again.
    struck_s, broken_s, listened_s : float
        Monotonic time of its beginning, when it was broken, and when the service was ready again.
    well_after_s : float
        From its mending until all was well; infinite where that never came.
    answers : that came until its end and no row before has judged
    missing : decisions that callers have ids of and the log has not -> monotonic time at which they were answered
    alerts : that fired
    trouble : what else went wrong
    """

    fault: Fault
    seconds: float = 0.0
    struck_s: float = 0.0
    broken_s: float = 0.0
    listened_s: float = 0.0
    well_after_s: float = math.inf
    answers: Sequence[Answer] = ()
    missing: dict[str, float] = field(default_factory=dict)
    alerts: frozenset[str] = frozenset()
    trouble: tuple[str, ...] = ()

    @property
    def statuses(self) -> Counter[int]:
        """Of whole answers: status -> how many."""
        return Counter(one.status for one in self.answers if one.status and one.is_whole)

    @property
    def unanswered(self) -> list[Answer]:
        """Requests without an answer, or without its end."""
        return [one for one in self.answers if not one.status or not one.is_whole]

    @property
    def worst_s(self) -> float:
        """The longest that a caller waited for an answer."""
        return max((one.ended_s - one.sent_s for one in self.answers if one.status), default=0.0)

    @property
    def refused_s(self) -> float:
        """From the first request that nobody took until the last one."""
        sent = [one.sent_s for one in self.answers if not one.status]
        return max(sent) - min(sent) if sent else 0.0

    def broken(self) -> list[str]:
        """Return the promises that were not kept, in words."""
        return [*self.trouble, *self._errors(), *self._let_down(), *self._lost(), *self._alerts()]

    def _errors(self) -> list[str]:
        answered = [one for one in self.answers if one.status and one.is_whole]
        wrong = [one for one in answered if one.status != 200 and not self._may_say(one)]
        return [f"{one.kind} was answered with {one.status} (request {one.request_id}): {one.why}" for one in wrong[:5]]

    def _may_say(self, one: Answer) -> bool:
        if one.kind == "readiness":  # that it is not ready is what the question is for
            return one.status == 503 and self._may_go_without(one)
        is_of_now = one.ended_s >= self.struck_s
        return self.fault.all_providers_down and is_of_now and one.kind in OF_PROVIDERS and one.status >= 500

    def _let_down(self) -> list[str]:
        let_down = [(one, one.sent_s - self.struck_s) for one in self.unanswered if not self._may_go_without(one)]
        said = [f"{one.kind} got no answer, {after:.2f} s after the fault: {one.why}" for one, after in let_down[:5]]
        if math.isinf(self.well_after_s):
            said.append("all was not well again")
        return said

    def _may_go_without(self, one: Answer) -> bool:
        was_under_way = one.sent_s <= self.broken_s and one.ended_s >= self.struck_s
        found_nobody = self.struck_s <= one.sent_s <= self.listened_s
        return (self.fault.breaks_off and was_under_way) or (self.fault.is_away and found_nobody)

    def _lost(self) -> list[str]:
        times = {"struck_s": self.struck_s, "broken_s": self.broken_s}
        lost = [(one, at - self.struck_s) for one, at in self.missing.items() if not self.fault.may_lose(at, **times)]
        return [f"the log has not {one}, answered {after:.2f} s after the fault" for one, after in lost[:5]]

    def _alerts(self) -> list[str]:
        silent = self.fault.alerts - self.alerts
        unexpected = self.alerts - self.fault.alerts - self.fault.may_alert - OF_A_BUSY_MACHINE
        return [*(f"{name} did not fire" for name in sorted(silent)), *(f"{name} fired" for name in sorted(unexpected))]

    def as_json(self) -> dict[str, Any]:
        return {
            "fault": self.fault.name,
            "seconds": round(self.seconds, 1),
            "statuses": {str(status): n for status, n in sorted(self.statuses.items())},
            "unanswered": len(self.unanswered),
            "refused_s": round(self.refused_s, 1),
            "worst_s": round(self.worst_s, 2),
            "lost": len(self.missing),
            "alerts": sorted(self.alerts),
            "well_after_s": None if math.isinf(self.well_after_s) else round(self.well_after_s, 1),
            "broken": self.broken(),
        }
