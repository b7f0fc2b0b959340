"""Forwards calls: tries the candidates in their order until one answers, as `serving.forwarding.retry_policy` says."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import TypeAlias

from serving.errors import EmptyPlanError, InvalidRequestError
from serving.formats.adapter import Adapter
from serving.formats.format import Surface
from serving.forwarding.attempts import CLIENT_GONE, SHUTDOWN, Attempt
from serving.forwarding.breakers import Breakers
from serving.forwarding.calls import call
from serving.forwarding.course import Course, Ready
from serving.forwarding.deadlines import clock, to_its_end
from serving.forwarding.patience import Patience
from serving.forwarding.reply import Order, Reply
from serving.forwarding.retry_policy import Do, Step, next_step
from serving.forwarding.rules import Rules
from serving.forwarding.streams import unreadable
from serving.forwarding.upstream_errors import upstream_error
from serving.forwarding.whole_answers import WholeAnswers, refuses_stream
from serving.providers.failures import FailureKind, UpstreamFailure
from serving.providers.provider import Kind, Target
from serving.providers.providers import Providers

AdapterFor: TypeAlias = Callable[[Surface, Kind], Adapter]

_KEY_MARGIN_S = 0.05  # a key's pause is timed by another clock


class Forwarder:
    """Forwards calls to providers; used from one event loop.

    Parameters
    ----------
    providers : Providers
    adapter_for : callable
        Returns what speaks a surface's format to a kind of provider; may raise `InvalidRequestError`.
    rules : Rules
    rng : Random, optional
        Draws the jitter.

    Attributes
    ----------
    breakers : Breakers
        Their states are for metrics and operators.
    """

    def __init__(
        self, providers: Providers, adapter_for: AdapterFor, *, rules: Rules | None = None, rng: Random | None = None
    ) -> None:
        self._providers = providers
        self._adapter_for = adapter_for
        self._rules = rules or Rules()
        self._rng = rng or Random()  # noqa: S311  (jitter, no secret)
        self._patience = Patience(self._rules.patience)
        self._whole_answers = WholeAnswers()
        self._limited_until: dict[str, float] = {}
        self.breakers = Breakers(self._rules.breaker)

    async def forward(self, order: Order) -> Reply:
        """Try the candidates until one answers; cancelling ends the call that is under way at once.

        Raises
        ------
        UpstreamError
            If none did: the first candidate's failure, and the others' in its metadata.
        InvalidRequestError
            If the call cannot be said in any candidate's format.
        """
        if not order.targets:
            raise EmptyPlanError("no provider serves any model that was asked for; see GET /v1/models for those served")
        course = Course(order, clock() + order.total_s)
        ready = await self._next(course)
        while True:
            try:
                return await self._attempt(course, ready)
            except UpstreamFailure as failure:
                plain = self._without_stream(course, ready, failure)
                if plain is not None:
                    ready = plain
                    continue
                now = clock()
                step = next_step(failure, course.failed(ready, failure, now), self._rules, self._rng)
                ready = await self._after(course, ready, failure, step)

    async def _attempt(self, course: Course, ready: Ready) -> Reply:
        """Call a candidate once; however it goes, the attempt ends, save for a stream that is under way."""
        order = course.order
        attempt = Attempt(
            order,
            ready.target,
            ready.adapter,
            ready.request,
            breaker=self.breakers.of(ready.target),
            over=course.over,
            deadline=course.deadline,
            rules=self._rules,
            waits=self._patience.of(
                ready.target,
                order.call,
                len(ready.request.content),
                has_others=course.has_untried,
                is_live=order.call.stream and not order.buffer,
            ),
            share_until=course.share_of(ready.position, clock()),
            is_streamed=ready.is_streamed,
        )
        try:
            reply = await call(attempt, self._providers.transport(ready.target.provider))
        except UpstreamFailure as failure:
            await to_its_end(attempt.end(failure.kind))
            raise
        except Exception as exc:
            await to_its_end(attempt.end(FailureKind.MALFORMED))
            raise unreadable(exc, ready.target.name) from exc
        except BaseException as exc:  # cancelled: the caller is gone, or the service has to end
            await to_its_end(attempt.end(SHUTDOWN if SHUTDOWN in exc.args else CLIENT_GONE))
            raise
        if attempt.is_better_plain:
            self._whole_answers.ask_plainly(ready.target)
        return reply

    def _without_stream(self, course: Course, ready: Ready, failure: UpstreamFailure) -> Ready | None:
        """Return the same candidate, asked for its whole answer as such, where it refused a stream nobody asked for."""
        if not ready.is_streamed or course.order.call.stream or not refuses_stream(failure):
            return None
        self._whole_answers.ask_plainly(ready.target)
        return self._prepare(course, ready.position)

    async def _after(self, course: Course, ready: Ready, failure: UpstreamFailure, step: Step) -> Ready:
        """Return what to try after a failure, when it is time.

        Raises
        ------
        ServiceError
            If nothing is.
        """
        self._blame_key(ready, failure)
        if step.do is Do.RAISE:
            *others, reported = course.failures
            raise upstream_error(reported, others) from failure
        if step.do is Do.GIVE_UP:
            raise course.error(clock()) from failure
        if step.do is Do.AGAIN and self._is_ready(ready.target):
            await asyncio.sleep(step.pause_s or 0.0)
            if self._is_ready(ready.target):  # others may have failed meanwhile
                return ready
        elif step.do is Do.OTHER_KEY and ready.key is not None:
            other = self._prepare(course, ready.position)
            if other is not None:
                return other
        if step.do is not Do.AGAIN and step.pause_s is not None:
            course.waiting[ready.position] = (clock() + step.pause_s, ready)
        return await self._next(course, failure)

    def _blame_key(self, ready: Ready, failure: UpstreamFailure) -> None:
        if ready.key is None:
            return
        keys = self._providers.keys(ready.target.provider)
        if failure.kind is FailureKind.KEY:
            keys.kill(ready.key)
        elif failure.kind is FailureKind.RATE_LIMITED:
            pause_s = self._rules.key_pause_s if failure.retry_after_s is None else max(failure.retry_after_s, 0.0)
            keys.pause(ready.key, pause_s)
            self._limit(ready.target.provider.name, pause_s)

    def _limit(self, provider: str, seconds: float) -> None:
        """Remember when the first of a provider's limited keys can be used again."""
        now = clock()
        until, before = now + seconds + _KEY_MARGIN_S, self._limited_until.get(provider, 0.0)
        self._limited_until[provider] = min(before, until) if before > now else until

    async def _next(self, course: Course, cause: UpstreamFailure | None = None) -> Ready:
        """Return the next candidate that can be called: one that was not tried, or else one that is worth waiting for.

        Raises
        ------
        ServiceError
            If there is none.
        """
        while course.position < len(course.order.targets):
            position = course.position
            course.position += 1
            ready = self._prepare(course, position)
            if ready is not None:
                return ready
        while (first := course.pop_waiting()) is not None:
            at, position, ready = first
            now = clock()
            if at >= course.deadline:
                raise course.error(now, limited_until=at) from cause
            await asyncio.sleep(at - now)
            ready = ready or self._prepare(course, position)
            if ready is not None and self._is_ready(ready.target):
                return ready
        raise course.error(clock()) from cause

    def _prepare(self, course: Course, position: int) -> Ready | None:
        """Return a candidate with a key and a request; None where it cannot be called now."""
        target = course.order.targets[position]
        if not course.fits(target):
            return None
        if not self._is_ready(target):
            now = clock()
            course.refuse(now + self.breakers.of(target).retry_in_s(now))
            return None
        keys = self._providers.keys(target.provider)
        key = None if keys.needs_none else keys.take()
        if key is None and not keys.needs_none:
            until = self._limited_until.get(target.provider.name, 0.0)
            if until > clock():
                course.waiting.setdefault(position, (until, None))
            return None
        return self._translate(course, position, key)

    def _translate(self, course: Course, position: int, key: str | None) -> Ready | None:
        target, call_ = course.order.targets[position], course.order.call
        try:
            adapter = self._adapter_for(call_.surface, target.provider.kind)
            is_streamed = self._whole_answers.by_stream(call_, target)
            request = adapter.request(replace(call_, stream=is_streamed), target, key)
        except InvalidRequestError as exc:
            course.invalid = course.invalid or exc
            return None
        return Ready(position, target, adapter, request, key, is_streamed)

    def _is_ready(self, target: Target) -> bool:
        return self.breakers.of(target).is_ready(clock())
