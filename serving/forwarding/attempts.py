"""An attempt: one call of one candidate, from its start to its record.

However it goes, it ends once: what was called is judged, the record is made and observed, the response is closed.
"""

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from router_model.serving.common.error_location import error_location
from router_model.serving.common.ids import UNSECRET, IdMaker
from router_model.serving.common.log_throttle import LogThrottle
from router_model.serving.decision_log.log_records import AttemptRecord
from router_model.serving.decision_log.texts import bounded
from router_model.serving.formats.adapter import Adapter
from router_model.serving.formats.format import Facts
from router_model.serving.formats.settling import settle
from router_model.serving.forwarding.deadlines import clock, close
from router_model.serving.forwarding.lines import Ticket
from router_model.serving.forwarding.patience import Waits
from router_model.serving.forwarding.reply import ForwardRequest, no_extras
from router_model.serving.forwarding.rules import Rules
from router_model.serving.providers.failures import CONTENT, FailureKind, Refusal, UpstreamFailure
from router_model.serving.providers.health import Verdict
from router_model.serving.providers.http import HttpRequest, HttpResponse
from router_model.serving.providers.provider import Target

CLIENT_GONE: Final = "client_gone"
"""The error type of an attempt whose caller did not wait for its end."""
SHUTDOWN: Final = FailureKind.SHUTDOWN.value
"""The error type of an attempt that was still under way when the service had to end."""

_ABANDONED: Final = frozenset({CLIENT_GONE, SHUTDOWN, FailureKind.TIMEOUT.value})
"""The error types of attempts that the service itself ended, whatever the provider does afterwards."""
_CUT: Final = _ABANDONED | {FailureKind.TRUNCATED.value, FailureKind.CONNECTION.value}
_HTML: Final = "text/html"
"""The content type that proxies and login pages answer with, but no model does."""
_logger = logging.getLogger(__name__)
_make_id: Final = IdMaker("att_", random_bytes=UNSECRET.randbytes)
_throttle: Final = LogThrottle(60.0)
_PARTS: Final = re.compile(r"[-_:@\s]+")
_QUALIFIER: Final = re.compile(r"0|\d\d|\d{3,}|v\d+|latest|preview|exp|experimental|beta|stable")


class Attempt:
    """One call of one candidate.

    Parameters
    ----------
    forward_request : ForwardRequest
    target, adapter, request : whom to call, and with what
    ticket : Ticket
        Is told what became of the call.
    finished : list of AttemptRecord
        The request's attempts that are over; this one joins.
    deadline : float
        When the order's time is up.
    rules : Rules
    others : int
        Candidates that were not tried.
    waits : Waits
        How long what is waited for; they are told what became of it.
    share_until : float
        Until when the order may lose time to this candidate, as long as the answer can be taken back.
    is_streamed : bool
        Whether the provider is asked for a stream, whatever the caller wants.

    Attributes
    ----------
    is_better_plain : bool
        Whether the stream of this provider is worse than its whole answer: it does not come, or says no usage.
    response, chunks : what came, and the iterator over its body; None before
    facts : Facts
        Of the answer, as far as they are known.
    failure : UpstreamFailure or None
        What went wrong; None if nothing did, or the caller went away.
    """

    def __init__(
        self,
        forward_request: ForwardRequest,
        target: Target,
        adapter: Adapter,
        request: HttpRequest,
        *,
        ticket: Ticket,
        finished: list[AttemptRecord],
        deadline: float,
        rules: Rules,
        waits: Waits,
        share_until: float,
        is_streamed: bool,
        others: int = 0,
    ) -> None:
        self.forward_request = forward_request
        self.target = target
        self.adapter = adapter
        self._sent = asyncio.Event()  # no method of ours: a cycle would keep the answer in memory for longer
        self.request = replace(request, on_sent=self._sent.set)
        self.finished = finished
        self.rules = rules
        self._others = others
        self.waits = waits
        self.is_streamed = is_streamed
        self.is_better_plain = False
        self.response: HttpResponse | None = None
        self.chunks: AsyncIterator[bytes] | None = None
        self.facts = Facts()
        self.failure: UpstreamFailure | None = None
        self.started = clock()
        self._deadline = deadline
        self._order_until = min(deadline, share_until)
        self._id = _make_id()
        self._created_at = datetime.now(UTC)
        self._first_token_s: float | None = None
        self._has_ended = False
        self._ticket = ticket

    @property
    def until(self) -> float:
        """The loop's time at which the attempt is cut."""
        return min(self.started + self.target.provider.deadlines.total_s, self._order_until)

    @property
    def left_s(self) -> float:
        """Seconds that the attempt may still take."""
        return self.until - clock()

    def begin(self) -> None:
        """Take note that the call begins now: what was waited for until then was ours."""
        self.started = clock()

    def cannot_be_taken_back(self) -> None:
        """Record that the caller has the beginning of the answer, so that no other candidate can be asked any more."""
        self._order_until = self._deadline

    def first_token(self) -> None:
        """Take note that the first token is here: a candidate that was probed works."""
        now = clock()
        self._first_token_s = now - self.started
        self.waits.first.took(self._first_token_s)
        self._ticket.works_so_far(now)

    async def succeed(self) -> None:
        """End it as a success, unless a content filter kept the answer back and another candidate is left.

        Raises
        ------
        UpstreamFailure
            With `FailureKind.REFUSED`: nothing was said, so the answer of another candidate can take its place.
        """
        if self._others and self.facts.is_filtered:
            raise UpstreamFailure(
                FailureKind.REFUSED,
                f"a content filter withheld the answer ({self.facts.finish_reason})",
                status=400,
                code=self.facts.finish_reason,
                refusal=Refusal((CONTENT,)),
            )
        await self.end(None)

    def extras(self) -> dict[str, Any]:
        """Return what the order adds to its answer; this attempt counts among the others as a success."""
        make = self.forward_request.extras
        return {} if make is no_extras else make([*self.finished, self.record(None)])

    async def end(self, error_type: str | None) -> None:
        """End the attempt; None means success. A second call does nothing."""
        if self._has_ended:
            return
        self._has_ended = True
        now = clock()
        self._ticket.end(self._verdict(error_type, now), self.failure, now)
        record = self.record(error_type)
        self.finished.append(record)
        self._compare_models()
        self._observe(record)
        if self.response is not None:
            await close(self.response, self.chunks, self.rules.close_s, self.target.name)

    def record(self, error_type: str | None) -> AttemptRecord:
        """Return the record of the attempt as it stands."""
        facts = self.facts if self.facts.is_settled else replace(self.facts)
        settle(facts, self.target, self.request.sent, is_read=self._is_charged(error_type))
        usage = facts.usage
        return AttemptRecord(
            attempt_id=self._id,
            decision_id=self.forward_request.decision_id,
            created_at=self._created_at,
            model=self.target.model,
            provider=self.target.provider.name,
            response_id=bounded(self._response_id()),
            response_model=bounded(facts.response_model),
            finish_reason=bounded(facts.finish_reason),
            status=None if self.response is None else self.response.status,
            error_type=error_type,
            input_tokens=None if usage is None else usage.input_tokens,
            output_tokens=None if usage is None else usage.output_tokens,
            cached_input_tokens=None if usage is None else usage.cached_input_tokens,
            cache_write_tokens=None if usage is None else usage.cache_write_tokens,
            reasoning_tokens=None if usage is None else usage.reasoning_tokens,
            cost_usd=facts.cost_usd,
            latency_s=clock() - self.started,
            first_token_s=self._first_token_s,
            key_id=self.forward_request.key_id,
            usage_estimated=", ".join(facts.estimate_reasons) or None,
            budget_usd=facts.budget_usd,
        )

    def _response_id(self) -> str | None:
        """Return the id that the caller has of the answer."""
        exchange = self.forward_request.call.exchange
        own = None if exchange is None or not self.facts.has_content else exchange.id_from(self.target)
        return own or self.facts.response_id

    def _is_charged(self, error_type: str | None) -> bool:
        """Tell whether a provider charges for the input of a call that ended like this (docs/proxy.md has the table).

        It does once it has begun to answer, and while it works on a request that we abandoned; not for an error.
        """
        if self.response is None:
            return self._sent.is_set() and error_type in _ABANDONED
        if not 200 <= self.response.status < 300:  # noqa: PLR2004  (HTTP's successes)
            return False
        if error_type == FailureKind.MALFORMED:
            return _HTML not in self.response.headers.get("content-type", "")
        return error_type is None or error_type in _CUT or self.facts.finish_reason is not None

    def _observe(self, record: AttemptRecord) -> None:
        try:
            self.forward_request.observe(record)
        except Exception as exc:  # noqa: BLE001  (the answer does not depend on who watches)
            if times := _throttle.due("observe"):
                _logger.error("an attempt could not be observed: %s (%d times)", error_location(exc), times)  # noqa: TRY400

    def _verdict(self, error_type: str | None, now: float) -> Verdict:
        if error_type is None or (error_type in {CLIENT_GONE, SHUTDOWN} and self.facts.has_content):
            return Verdict.WORKS
        if error_type == FailureKind.TIMEOUT and self._was_our_time(now):
            return Verdict.UNKNOWN
        return self._ticket.verdict(error_type)

    def _was_our_time(self, now: float) -> bool:
        """Tell whether a deadline passed that says nothing of the candidate.

        That is the order's, which may be as short as its caller likes; and the one of all of an answer, where the
        answer was coming until then: its caller may have been slow to take it.
        """
        if self.waits.have_run_out:
            return False
        return now >= self._order_until or (self.facts.has_content and now >= self.until)

    def _compare_models(self) -> None:
        asked, answered = self.target.upstream_model, self.facts.response_model
        if answered and is_other_model(asked, answered) and (times := _throttle.due(self.target.name)):
            _logger.warning(
                "%s: %r was called, but %r answered, maybe at another price; put the model that you mean into "
                "providers.toml"
                " (%d times)",
                self.target.name,
                asked,
                answered,
                times,
            )


@lru_cache(maxsize=1024)
def is_other_model(asked: str, answered: str) -> bool:
    """Tell whether two ids name wholly different models, not dated or staged versions of one.

    Examples
    --------
    >>> is_other_model("gpt-4o", "gpt-4o-2024-08-06"), is_other_model("openai/gpt-4o", "gpt-4o")
    (False, False)
    >>> is_other_model("claude-sonnet-4-0", "claude-sonnet-4-20250514")
    False
    >>> is_other_model("gpt-4o", "gpt-4o-mini"), is_other_model("gemini-2.5-flash", "gemini-2.5-pro")
    (True, True)
    """
    one, two = _parts(asked), _parts(answered)
    n_common = next(
        (i for i, pair in enumerate(zip(one, two, strict=False)) if pair[0] != pair[1]), min(len(one), len(two))
    )
    return n_common == 0 or not all(_QUALIFIER.fullmatch(part) for part in one[n_common:] + two[n_common:])


def _parts(model: str) -> list[str]:
    return [part for part in _PARTS.split(model.lower().rpartition("/")[2]) if part]
