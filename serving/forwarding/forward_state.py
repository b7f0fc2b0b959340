"""The state of forwarding a call: the candidates left, the failures, and who may be asked again at what time."""

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Final

from router_model.serving.common.service_errors import InvalidRequestError, ServiceError
from router_model.serving.decision_log.log_records import AttemptRecord
from router_model.serving.formats.adapter import Adapter
from router_model.serving.forwarding.lines import OF_TARGET, Line
from router_model.serving.forwarding.refusals import Wishes
from router_model.serving.forwarding.reply import ForwardRequest
from router_model.serving.forwarding.retry_policy import Tried
from router_model.serving.forwarding.upstream_errors import Failed, unavailable, upstream_error
from router_model.serving.providers.failures import FailureKind, UpstreamFailure
from router_model.serving.providers.http import HttpRequest
from router_model.serving.providers.keys import Key
from router_model.serving.providers.provider import Target

_OF_KEYS: Final = frozenset({FailureKind.KEY, FailureKind.RATE_LIMITED})


@dataclass(frozen=True, slots=True)
class PreparedCall:
    """A candidate with all that calling it needs.

    Attributes
    ----------
    position : of the target among the order's
    line, adapter, request : whom to call with which key, and with what; the key is in the request already
    is_streamed : bool
        Whether the request asks for a stream, whatever the caller wants.
    """

    position: int
    line: Line
    adapter: Adapter
    request: HttpRequest
    is_streamed: bool = False

    @property
    def target(self) -> Target:
        """The model and its provider."""
        return self.line.target


@dataclass(slots=True)
class ForwardState:
    """The state of a forwarded call so far.

    Attributes
    ----------
    forward_request : ForwardRequest
    deadline : float
        The loop's time at which the order's time is up.
    wishes : what the order asks for
    finished : records of the attempts that are over
    position : of the candidate that is next
    failures : of all attempts, in their order
    n_here : how many by position, those of keys by kind, all others together
    put_aside : positions that were passed over, because their model or key was paused
    waiting : by position, when a candidate that was tried may be asked again
    share_until : by position, until when the order may lose time to a candidate while another is untried
    refused_keys : keys that were refused in this request; it does not use them again while there are others
    waited_s : float
        For the result of another call to a candidate that is paused.
    invalid : the first reason why a candidate could not be asked this
    too_long_for : int or None
        The largest context window that was too small.
    """

    forward_request: ForwardRequest
    deadline: float
    wishes: Wishes
    finished: list[AttemptRecord] = field(default_factory=list)
    position: int = 0
    failures: list[Failed] = field(default_factory=list)
    n_here: Counter[tuple[int, FailureKind | None]] = field(default_factory=Counter)
    put_aside: list[int] = field(default_factory=list)
    waiting: dict[int, float] = field(default_factory=dict)
    share_until: dict[int, float] = field(default_factory=dict)
    refused_keys: set[Key] = field(default_factory=set)
    waited_s: float = 0.0
    invalid: InvalidRequestError | None = None
    too_long_for: int | None = None

    def failed(self, prepared: PreparedCall, failure: UpstreamFailure, now: float) -> Tried:
        """Take note of an attempt's failure; return what was tried."""
        self.failures.append(Failed(prepared.target, failure))
        alike = (prepared.position, failure.kind if failure.kind in _OF_KEYS else None)
        self.n_here[alike] += 1
        if failure.kind is FailureKind.KEY:
            self.refused_keys.add(prepared.line.key)
        if failure.kind is FailureKind.TOO_LONG and prepared.target.card is not None:
            window = prepared.target.card.context_window
            if window is not None:
                self.too_long_for = max(self.too_long_for or 0, window)
        if failure.kind in OF_TARGET:
            self._put_last(prepared.target)
        return Tried(
            n_attempts=len(self.failures),
            n_here=self.n_here[alike],
            n_untried=len(self.forward_request.targets) - self.position,
            left_s=self.deadline - now,
            left_here_s=self.share_of(prepared.position, now) - now,
        )

    def _put_last(self, failed: Target) -> None:
        """Ask other models before those that are the same model of this provider with another effort."""
        targets, position = self.forward_request.targets, self.position
        if any(_called(one) == _called(failed) for one in targets[position:]):
            left = sorted(targets[position:], key=lambda one: _called(one) == _called(failed))
            self.forward_request = replace(self.forward_request, targets=[*targets[:position], *left])

    @property
    def has_untried(self) -> bool:
        """Whether there is a candidate that was not tried."""
        return self.position < len(self.forward_request.targets)

    def share_of(self, position: int, now: float) -> float:
        """Return until when the order may lose time to a candidate: for half of what is left at its first attempt.

        All of it if no other candidate can be asked.
        """
        if not self.has_untried:
            return self.deadline
        return self.share_until.setdefault(position, now + (self.deadline - now) / 2)

    def fits(self, target: Target) -> bool:
        """Tell whether a prompt that was too long for others may fit here."""
        if self.too_long_for is None or target.card is None or target.card.context_window is None:
            return True
        return target.card.context_window > self.too_long_for

    def error(self) -> ServiceError:
        """Return the error of an order that no candidate answered."""
        if self.failures:
            return upstream_error(self.failures[0], self.failures[1:])
        return self.invalid or unavailable(self.forward_request.targets)


def _called(target: Target) -> tuple[str, str]:
    return target.provider.name, target.served_model
