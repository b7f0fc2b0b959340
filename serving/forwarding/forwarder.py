"""Forward calls: try the candidates in order until one answers.

`router_model.serving.forwarding.retry_policy` says how often, and after what.

What is paused (`router_model.serving.providers.health`) is passed over while other candidates are left. If
none is left, the candidate whose pause ends first is asked: after its pause if that is soon, at once otherwise. So no
caller is sent away on account of what happened to others.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from operator import itemgetter
from random import Random
from typing import Final, TypeAlias

from router_model.serving.common.service_errors import EmptyPlanError, InvalidRequestError
from router_model.serving.formats.adapter import Adapter
from router_model.serving.formats.format import Call, Surface
from router_model.serving.forwarding.attempts import CLIENT_GONE, SHUTDOWN, Attempt
from router_model.serving.forwarding.calls import call
from router_model.serving.forwarding.connections import Connections
from router_model.serving.forwarding.deadlines import clock, to_its_end
from router_model.serving.forwarding.forward_state import ForwardState, PreparedCall
from router_model.serving.forwarding.lines import Line, Ticket
from router_model.serving.forwarding.patience import Patience
from router_model.serving.forwarding.refusals import Refusals, Wishes
from router_model.serving.forwarding.reply import ForwardRequest, Reply
from router_model.serving.forwarding.retry_policy import Do, Step, Tried, next_step
from router_model.serving.forwarding.rules import Rules
from router_model.serving.forwarding.streams import unreadable
from router_model.serving.forwarding.upstream_errors import upstream_error
from router_model.serving.forwarding.whole_answers import WholeAnswers, is_short, refuses_stream
from router_model.serving.providers.failures import FailureKind, UpstreamFailure
from router_model.serving.providers.fleet import Fleet
from router_model.serving.providers.health import Health, HealthTable
from router_model.serving.providers.http import HttpRequest
from router_model.serving.providers.keys import Key
from router_model.serving.providers.provider import Kind, Target

AdapterFor: TypeAlias = Callable[[Surface, Kind], Adapter]

_LOOK_S: Final = 0.05
"""Seconds between two checks of another call's probe."""


class Forwarder:
    """Forwards calls to providers; used from one event loop.

    Parameters
    ----------
    providers : Fleet
    adapter_for : callable
        Returns what speaks a surface's format to a kind of provider; may raise `InvalidRequestError`.
    rules : Rules
    rng : Random, optional
        Draws the jitter.

    Attributes
    ----------
    health : HealthTable
        Of each (provider, model); for metrics and operators, too. Keys keep their own.
    """

    def __init__(
        self, providers: Fleet, adapter_for: AdapterFor, *, rules: Rules | None = None, rng: Random | None = None
    ) -> None:
        self._providers = providers
        self._adapter_for = adapter_for
        self._rules = rules or Rules()
        self._rng = rng or Random()  # noqa: S311  (jitter, no secret)
        self._connections = Connections()
        self._refusals = Refusals(self._rules.refusals)
        self._patience = Patience(self._rules.patience)
        self._whole_answers = WholeAnswers()
        self.health: HealthTable[tuple[str, str]] = HealthTable(self._rules.health)

    async def forward(self, forward_request: ForwardRequest) -> Reply:
        """Try the candidates until one answers; cancelling ends the call that is under way at once.

        Raises
        ------
        UpstreamError
            If none did: the first candidate's failure, and the others' in its metadata.
        InvalidRequestError
            If the call cannot be said in any candidate's format.
        """
        if not forward_request.targets:
            raise EmptyPlanError(
                "no provider serves any of the requested models; GET /v1/models lists the models that are served"
            )
        wishes = Wishes(forward_request.call, self._refusals)
        forward_request = replace(forward_request, targets=wishes.arranged(forward_request.targets, clock()))
        state = ForwardState(forward_request, clock() + forward_request.total_s, wishes)
        prepared = await self._next(state)
        while True:
            if state.failures and not forward_request.affords(state.finished, prepared.target):
                raise state.error()
            try:
                reply = await self._attempt(state, prepared)
            except UpstreamFailure as failure:
                plain = await self._without_stream(state, prepared, failure)
                if plain is not None:
                    prepared = plain
                    continue
                now = clock()
                tried = state.failed(prepared, failure, now)
                again = await self._without_refused(state, prepared, failure, tried)
                step = next_step(failure, tried, self._rules, self._rng)
                prepared = again or await self._after(state, prepared, failure, step)
            else:
                wishes.took(prepared.target)
                return reply

    async def _attempt(self, state: ForwardState, prepared: PreparedCall) -> Reply:
        """Call a candidate once; however it goes, the attempt ends, save for a stream that is under way."""
        forward_request, provider = state.forward_request, prepared.target.provider
        attempt = Attempt(
            forward_request,
            prepared.target,
            prepared.adapter,
            prepared.request,
            ticket=Ticket(
                prepared.line, forward_request.key_id, clock(), blames_key=prepared.line.key not in state.refused_keys
            ),
            finished=state.finished,
            deadline=state.deadline,
            rules=self._rules,
            others=len(forward_request.targets) - state.position,
            waits=self._patience.of(
                prepared.target,
                forward_request.call,
                len(prepared.request.content),
                has_others=state.has_untried,
                is_live=forward_request.call.stream and not forward_request.buffer,
                is_short=self._is_short(forward_request.call, prepared.target),
            ),
            share_until=state.share_of(prepared.position, clock()),
            is_streamed=prepared.is_streamed,
        )
        transport = self._connections.shared(self._providers.transport(provider), provider, forward_request.key_id)
        try:
            await transport.take(attempt.left_s)
            attempt.begin()
            reply = await call(attempt, transport)
        except UpstreamFailure as failure:
            attempt.failure = failure
            await to_its_end(attempt.end(failure.error_type))
            raise
        except Exception as exc:
            # A bug in our reader counts as a malformed answer, so that the next candidate can still answer.
            await to_its_end(attempt.end(FailureKind.MALFORMED))
            raise unreadable(exc, prepared.target.name) from exc
        except BaseException as exc:  # cancelled: the caller is gone, or the service has to end
            await to_its_end(attempt.end(SHUTDOWN if SHUTDOWN in exc.args else CLIENT_GONE))
            raise
        finally:
            transport.drop()
        if attempt.is_better_plain:
            self._whole_answers.ask_plainly(prepared.target)
        return reply

    def _is_short(self, call_: Call, target: Target) -> bool:
        return not call_.stream and self._whole_answers.streams(target) and is_short(call_, target)

    async def _without_stream(
        self, state: ForwardState, prepared: PreparedCall, failure: UpstreamFailure
    ) -> PreparedCall | None:
        """Return the same candidate, asked for a whole answer, if it refused a stream that no caller asked for."""
        if not prepared.is_streamed or state.forward_request.call.stream or not refuses_stream(failure):
            return None
        self._whole_answers.ask_plainly(prepared.target)
        return await self._prepare(state, prepared.position)

    async def _without_refused(
        self, state: ForwardState, prepared: PreparedCall, failure: UpstreamFailure, tried: Tried
    ) -> PreparedCall | None:
        """Remember a refusal; return the same candidate once more, if it accepts the request without a hint.

        Nothing is paused: the model has not failed, and without the refused part it has no reason to refuse.
        """
        if failure.refusal is None:
            return None
        target = prepared.target
        can_go_on = tried.n_attempts < self._rules.max_attempts and tried.left_s > 0
        if not state.wishes.note(target, failure.refusal, prepared.request.content, clock()) or not can_go_on:
            return None
        refused = state.wishes.refused(target, clock())
        asked = replace(state.forward_request.call, stream=prepared.is_streamed)
        request = await _written(
            state.forward_request, partial(prepared.adapter.request, asked, target, None, refused=refused)
        )
        return replace(
            prepared,
            request=replace(prepared.request, content=request.content, changes=request.changes, sent=request.sent),
        )

    async def _after(
        self, state: ForwardState, prepared: PreparedCall, failure: UpstreamFailure, step: Step
    ) -> PreparedCall:
        """Return what to try after a failure, when it is time.

        Raises
        ------
        ServiceError
            If nothing is.
        """
        if step.do is Do.RAISE:
            *others, reported = state.failures
            raise upstream_error(reported, others) from failure
        if step.do is Do.GIVE_UP:
            raise state.error() from failure
        caller, again_at = state.forward_request.key_id, clock() + (step.pause_s or 0.0)
        if step.do is Do.AGAIN and prepared.line.is_ready(caller, clock()):
            await asyncio.sleep(step.pause_s or 0.0)
            if prepared.line.is_ready(caller, clock()):  # other calls may have failed during the pause, and paused it
                return prepared
        elif step.do is Do.OTHER_KEY:
            other = await self._prepare(state, prepared.position)
            if other is not None:
                return other
        # What has only reached a limit meanwhile is asked when that is over; what was paused for failing is left alone.
        if step.pause_s is not None and (step.do is not Do.AGAIN or prepared.line.is_limited_only(caller, clock())):
            state.waiting[prepared.position] = again_at
        return await self._next(state, failure)

    async def _next(self, state: ForwardState, cause: UpstreamFailure | None = None) -> PreparedCall:
        """Return the next candidate that can be called: one that was not tried, or else what `_last_resort` finds.

        Raises
        ------
        ServiceError
            If there is none.
        """
        while state.position < len(state.forward_request.targets):
            position = state.position
            state.position += 1
            # A prompt that was too long for one model would be too long for those with the same window or less.
            if not state.fits(state.forward_request.targets[position]):
                continue
            line = self._ready_line(state, position)
            if line is None:
                state.put_aside.append(position)
            elif (found := await self._translate(state, position, line)) is not None:
                return found
        prepared = await self._last_resort(state)
        if prepared is None:
            raise state.error() from cause
        return prepared

    async def _last_resort(self, state: ForwardState) -> PreparedCall | None:
        """Return the candidate whose pause ends first, if all are paused, limited or tried; None if there is none."""
        while clock() < state.deadline:
            again = min(state.waiting.items(), key=itemgetter(1), default=None)
            aside = self._first_put_aside(state)
            if again is not None and (aside is None or again[1] <= aside[0]):
                prepared = await self._once_more(state, *again)
            elif aside is not None:
                prepared = await self._early(state, *aside)
            else:
                return None
            if prepared is not None:
                return prepared
        return None

    async def _once_more(self, state: ForwardState, position: int, at: float) -> PreparedCall | None:
        """Return a candidate that was tried and was to be asked again later, once it is later."""
        del state.waiting[position]
        if at >= state.deadline:
            return None
        await asyncio.sleep(at - clock())
        prepared = await self._prepare(state, position)
        if prepared is None:
            now, caller = clock(), state.forward_request.key_id
            line = self._first_line(state, position, now)
            until = now + _LOOK_S if line.is_probed_by_any(now) else line.retry_at(caller, now)
            if line.is_limited_only(caller, now) and until - now <= self._rules.longest_backoff_s:
                # Never at once, so that `_last_resort` does not spin.
                state.waiting[position] = max(until, now + _LOOK_S)
        return prepared

    async def _early(self, state: ForwardState, at: float, position: int, line: Line) -> PreparedCall | None:
        """Return a candidate that is paused: after its pause if that is a limit's and soon over, else at once.

        A caller's calls ask one at a time: what becomes of one is waited for by the others, for a while. Then each asks
        for itself: a request that is bad is to be told so, whatever became of another one.
        """
        now, caller = clock(), state.forward_request.key_id
        is_ready = line.is_ready(caller, now)
        if line.is_probed(caller, now) and state.waited_s < self._rules.longest_backoff_s:
            state.waited_s += _LOOK_S
            await asyncio.sleep(_LOOK_S)
            return None
        most_s = min(self._rules.longest_wait_s, (state.deadline - now) / 2)
        if not is_ready and line.is_limited_only(caller, now) and at - now <= most_s:
            await asyncio.sleep(at - now)
            return None
        state.put_aside.remove(position)
        prepared = await self._translate(state, position, line)
        if prepared is not None and (not is_ready or line.key in state.refused_keys):
            state.put_aside.clear()  # one attempt at a paused candidate is enough: more would only cost the caller time
        return prepared

    def _first_put_aside(self, state: ForwardState) -> tuple[float, int, Line] | None:
        """Return whose pause ends first, and when, of the candidates that were not tried."""
        now, caller = clock(), state.forward_request.key_id
        lines = ((position, self._first_line(state, position, now)) for position in state.put_aside)
        return min(((line.retry_at(caller, now), position, line) for position, line in lines), default=None, key=_when)

    def _first_line(self, state: ForwardState, position: int, now: float) -> Line:
        """Return a candidate with the key whose pause ends first."""
        caller, target = state.forward_request.key_id, state.forward_request.targets[position]
        lines = [self._line(target, key) for key in self._providers.keys(target.provider).keys]
        # Keys that were refused in this call come last, because they would be refused again.
        return min(lines, key=lambda line: (line.key in state.refused_keys, line.retry_at(caller, now)))

    async def _prepare(self, state: ForwardState, position: int) -> PreparedCall | None:
        """Return a candidate with a key and a request; None if it cannot be called now."""
        line = self._ready_line(state, position)
        return None if line is None else await self._translate(state, position, line)

    def _ready_line(self, state: ForwardState, position: int) -> Line | None:
        """Return a candidate with the key whose turn it is; None if all that it needs is paused."""
        now, caller, target = clock(), state.forward_request.key_id, state.forward_request.targets[position]
        if not self._health(target).is_ready(caller, now):
            return None
        key = self._providers.keys(target.provider).take(
            lambda key: key not in state.refused_keys and key.is_ready(target.served_model, caller, now)
        )
        return None if key is None else self._line(target, key)

    async def _translate(self, state: ForwardState, position: int, line: Line) -> PreparedCall | None:
        call_ = state.forward_request.call
        try:
            adapter = self._adapter_for(call_.surface, line.target.provider.kind)
            refused = state.wishes.refused(line.target, clock())
            is_streamed = self._whole_answers.by_stream(call_, line.target)
            asked = replace(call_, stream=is_streamed)
            write = partial(adapter.request, asked, line.target, line.key.value, refused=refused)
            request = await _written(state.forward_request, write)
        except InvalidRequestError as exc:
            if exc.details:  # what the caller's SDK mends itself, so that the cheaper model can answer
                raise
            # Another candidate's format may be able to express the request, so the error is kept for the end.
            state.invalid = state.invalid or exc
            return None
        return PreparedCall(position, line, adapter, request, is_streamed)

    def _line(self, target: Target, key: Key) -> Line:
        return Line(target, key, self._health(target))

    def _health(self, target: Target) -> Health:
        return self.health.of((target.provider.name, target.served_model))


async def _written(forward_request: ForwardRequest, write: Callable[[], HttpRequest]) -> HttpRequest:
    return write() if forward_request.aside is None else await forward_request.aside(write)


def _when(put_aside: tuple[float, int, Line]) -> tuple[float, int]:
    at, position, _ = put_aside
    return at, position
