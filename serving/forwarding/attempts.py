"""An attempt: one call of one candidate, from its beginning to its record.

However it goes, it ends once: the breaker is told, the record is made and observed, the response is closed.
"""

import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from router_model.log_records import AttemptRecord
from serving.engine.faults import place
from serving.engine.ids import IdMaker
from serving.engine.seldom import Seldom
from serving.formats.adapter import Adapter
from serving.formats.format import Facts
from serving.formats.settling import settle
from serving.forwarding.breakers import COUNTED, TargetBreaker, Verdict
from serving.forwarding.deadlines import clock, close
from serving.forwarding.reply import Order, no_extras
from serving.forwarding.response_models import is_other_model
from serving.forwarding.rules import Rules
from serving.providers.failures import FailureKind
from serving.providers.http import HttpRequest, HttpResponse
from serving.providers.provider import Target

CLIENT_GONE: Final = "client_gone"
"""The error type of an attempt whose caller did not wait for its end."""

_logger = logging.getLogger(__name__)
_make_id: Final = IdMaker("att_")
_seldom: Final = Seldom(60.0)


class Attempt:
    """One call of one candidate.

    Parameters
    ----------
    order : Order
    target, adapter, request : whom to call, and with what
    breaker : TargetBreaker
        Of the target; it is told that the call goes through.
    over : list of AttemptRecord
        The order's attempts that are over; this one joins.
    deadline : float
        When the order's time is up.
    rules : Rules

    Attributes
    ----------
    response, chunks : what came, and the iterator over its body; None before
    facts : Facts
        Of the answer, as far as they are known.
    """

    def __init__(
        self,
        order: Order,
        target: Target,
        adapter: Adapter,
        request: HttpRequest,
        *,
        breaker: TargetBreaker,
        over: list[AttemptRecord],
        deadline: float,
        rules: Rules,
    ) -> None:
        self.order = order
        self.target = target
        self.adapter = adapter
        self.request = request
        self.over = over
        self.rules = rules
        self.response: HttpResponse | None = None
        self.chunks: AsyncIterator[bytes] | None = None
        self.facts = Facts()
        self.started = clock()
        self.until = min(self.started + target.provider.deadlines.total_s, deadline)
        self._deadline = deadline
        self._id = _make_id()
        self._created_at = datetime.now(UTC)
        self._first_token_s: float | None = None
        self._has_ended = False
        self._breaker = breaker
        self._is_probe = breaker.admit(self.started)

    @property
    def left_s(self) -> float:
        """Seconds that the attempt may still take."""
        return self.until - clock()

    def first_token(self) -> None:
        """Take note that the first token is here: a candidate that was probed works."""
        now = clock()
        self._first_token_s = now - self.started
        if self._is_probe:
            self._report(Verdict.WORKS, now)
            self._is_probe = False

    def extras(self) -> dict[str, Any]:
        """Return what the order adds to its answer; this attempt counts among the others as a success."""
        make = self.order.extras
        return {} if make is no_extras else make([*self.over, self.record(None)])

    async def end(self, error_type: str | None) -> None:
        """End it; None is a success. Again: nothing."""
        if self._has_ended:
            return
        self._has_ended = True
        now = clock()
        self._report(self._verdict(error_type, now), now)
        record = self.record(error_type)
        self.over.append(record)
        self._compare_models()
        self._observe(record)
        if self.response is not None:
            await close(self.response, self.chunks, self.rules.close_s, self.target.name)

    def record(self, error_type: str | None) -> AttemptRecord:
        """Return the record of the attempt as it stands."""
        facts = self.facts if self.facts.is_settled else replace(self.facts)
        settle(facts, self.target, self.request.content)
        usage = facts.usage
        return AttemptRecord(
            attempt_id=self._id,
            decision_id=self.order.decision_id,
            created_at=self._created_at,
            model=self.target.model,
            provider=self.target.provider.name,
            response_id=facts.response_id,
            response_model=facts.response_model,
            finish_reason=facts.finish_reason,
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
            key_id=self.order.key_id,
            estimated=", ".join(facts.estimated) or None,
            budget_usd=facts.budget_usd,
        )

    def _report(self, verdict: Verdict, now: float) -> None:
        """Tell the breaker, and the log where that changes whether the candidate is called."""
        was_open = self._breaker.is_open
        self._breaker.report(verdict, is_probe=self._is_probe, now=now)
        if self._breaker.is_open is not was_open:
            becomes = "answers again" if was_open else "fails again and again and is left alone for a while"
            _logger.warning("%s %s", self.target.name, becomes)

    def _observe(self, record: AttemptRecord) -> None:
        try:
            self.order.observe(record)
        except Exception as exc:  # noqa: BLE001  (the answer does not depend on who watches)
            if times := _seldom.due("observe"):
                _logger.error("an attempt could not be observed: %s (%d times)", place(exc), times)  # noqa: TRY400

    def _verdict(self, error_type: str | None, now: float) -> Verdict:
        if error_type is None or (error_type == CLIENT_GONE and self.facts.has_content):
            return Verdict.WORKS
        if error_type == FailureKind.TIMEOUT and now >= self._deadline and not self._had_its_time(now):
            return Verdict.UNKNOWN  # the order's time was short, not the candidate slow
        return Verdict.FAILS if error_type in COUNTED else Verdict.UNKNOWN

    def _had_its_time(self, now: float) -> bool:
        return now - self.started >= self.target.provider.deadlines.first_token_s

    def _compare_models(self) -> None:
        asked, answered = self.target.upstream_model, self.facts.response_model
        if answered and is_other_model(asked, answered) and (times := _seldom.due(self.target.name)):
            _logger.warning(
                "%s: asked for %r, %r answered, maybe at another price; put the one that is meant into providers.toml"
                " (%d times)",
                self.target.name,
                asked,
                answered,
                times,
            )
