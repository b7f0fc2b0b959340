"""Lines: a candidate together with the key that it is called with, and what calls show about both."""

import logging
from dataclasses import dataclass
from typing import Final

from router_model.serving.providers.failures import FailureKind, UpstreamFailure
from router_model.serving.providers.health import CallerId, Health, LastFailure, Verdict
from router_model.serving.providers.keys import Key
from router_model.serving.providers.provider import Target

OF_TARGET: Final = frozenset(
    {
        FailureKind.CONNECTION,
        FailureKind.TIMEOUT,
        FailureKind.SERVER,
        FailureKind.MALFORMED,
        FailureKind.TRUNCATED,
    }
)
"""Failures that say something of the model at its provider, whatever the key."""
_OF_PROVIDER: Final = OF_TARGET | {FailureKind.KEY, FailureKind.RATE_LIMITED, FailureKind.MODEL_GONE}
"""Failures that are not the caller's."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Line:
    """A candidate and a key.

    Attributes
    ----------
    target : Target
    key : Key
    health : Health
        Of the model at its provider; the key keeps its own.
    """

    target: Target
    key: Key
    health: Health

    @property
    def healths(self) -> list[Health]:
        """The parts that a call depends on."""
        return [self.health, *self.key.healths(self.target.served_model)]

    def is_ready(self, caller: CallerId, now: float) -> bool:
        """Tell whether a caller may call it now."""
        return self.health.is_ready(caller, now) and self.key.is_ready(self.target.served_model, caller, now)

    def retry_at(self, caller: CallerId, now: float) -> float:
        """Return when it may be called; `now`: it may be now."""
        return max(health.retry_at(caller, now) for health in self.healths)

    def is_limited_only(self, caller: CallerId, now: float) -> bool:
        """Tell whether nothing but a rate limit is in the way, so that waiting helps."""
        return self.health.is_ready(caller, now) and self.key.refusals.is_ready(caller, now)

    def is_probed(self, caller: CallerId, now: float) -> bool:
        """Tell whether another call of this caller probes a paused part."""
        return any(health.is_probed(caller, now) for health in self.healths)

    def is_probed_by_any(self, now: float) -> bool:
        """Tell whether any call probes a paused part."""
        return any(health.is_probed_by_any(now) for health in self.healths)


class Ticket:
    """One call over a line: says once to each `Health` what the call has shown of it.

    Parameters
    ----------
    line : Line
    caller : whose call it is
    blames_key : bool
        Whether a refusal of the key is a sign against it. That of a call that was refused it before is not: a second
        sign has to come from another call.
    now : seconds
    """

    __slots__ = ("_blames_key", "_caller", "_line", "_probes")

    def __init__(self, line: Line, caller: CallerId, now: float, *, blames_key: bool = True) -> None:
        self._line = line
        self._caller = caller
        self._blames_key = blames_key
        self._probes = [health for health in line.healths if health.admit(caller, now)]

    @property
    def is_probe(self) -> bool:
        """Whether it is to show that something works again."""
        return bool(self._probes)

    def verdict(self, failed: FailureKind | str) -> Verdict:
        """Return what a failure says about the model at its provider.

        A refused key says nothing of it, unless no key was sent: then it is the provider that does not work.
        """
        is_its_own = failed in OF_TARGET or (failed == FailureKind.KEY and self._line.key.value is None)
        return Verdict.FAILS if is_its_own else Verdict.UNKNOWN

    def works_so_far(self, now: float) -> None:
        """Report that an answer has begun, which settles a probe; the call's end is reported as well."""
        for health in self._probes:
            self._report(health, Verdict.WORKS, now, is_probe=True)
        self._probes = []

    def end(self, verdict: Verdict, failure: UpstreamFailure | None, now: float) -> None:
        """Report the end of the call.

        Parameters
        ----------
        verdict : of the model at its provider
        failure : what went wrong; None if nothing did, or nothing that concerns the key
        """
        self._note(verdict, failure, now)
        key, model = self._line.key, self._line.target.served_model
        works = Verdict.WORKS if verdict is Verdict.WORKS else Verdict.UNKNOWN
        limited: Health | None = None
        kind = None if failure is None else failure.kind
        if failure is not None and kind is FailureKind.RATE_LIMITED:
            limited = key.limits.of(None if failure.of_key else model)
        for health in {id(one): one for one in (*self._line.healths, *self._probes, limited) if one}.values():
            said = works
            if health is self._line.health:
                said = verdict
            elif (
                health is key.refusals and kind is FailureKind.KEY and key.value is not None and self._blames_key
            ) or health is limited:
                said = Verdict.FAILS
            pause_s = failure.retry_after_s if failure is not None and health is limited else None
            self._report(health, said, now, is_probe=health in self._probes, pause_s=pause_s)

    def _note(self, verdict: Verdict, failure: UpstreamFailure | None, now: float) -> None:
        """Let operators know how the last call went."""
        if verdict is Verdict.WORKS:
            self._line.health.worked_at = now
        elif failure is not None and failure.kind in _OF_PROVIDER:
            status = f" ({failure.status})" if failure.status else ""
            self._line.health.last_failure = LastFailure(f"{failure.error_type}{status}", now)

    def _report(
        self, health: Health, verdict: Verdict, now: float, *, is_probe: bool, pause_s: float | None = None
    ) -> None:
        """Report to one `Health`, and log it if that changes whether it is called."""
        was_open = health.is_open
        health.report(verdict, self._caller, is_probe=is_probe, now=now, pause_s=pause_s)
        if health.is_open is was_open:
            return
        what = self._named(health)
        if was_open:
            _logger.warning("%s works again", what)
        else:
            wait_s = (health.until() or now) - now
            _logger.warning("%s is paused for %.3g s: %s", what, wait_s, self._why(health))

    def _named(self, health: Health) -> str:
        key, target = self._line.key, self._line.target
        of_model = f"{target.provider.name}:{target.served_model}"
        if health is self._line.health:
            return of_model
        whose = f"the key in {key.name}" if key.name else f"{target.provider.name} (it has no key)"
        return whose if health in (key.refusals, key.limits.get(None)) else f"{of_model} with {whose}"

    def _why(self, health: Health) -> str:
        if health is self._line.health:
            return "it fails again and again"
        return "it was refused again and again" if health is self._line.key.refusals else "a rate limit is reached"
