"""Send paid calls through the proxy's forwarding, a few at a time for each provider, while the budget lasts.

Calls are begun in their order. One may overtake another only where that waits for its own provider, and only by a few
places, so that a run that ends early has asked nearly the first part of its calls. Money is different: a call that has
to wait for money holds up all that come after it. Otherwise cheap calls would eat what a dear one waits for.

A call that a limit or an overload has kept from an answer is asked again after the pause that the provider wants, and
one that failed otherwise once more at the end of the run. A model that fails many times in a row is left alone for the
rest of the run.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from functools import partial
from typing import Any, Final, TypeAlias

from router_model.features.prompt import OUTPUT_LIMITS
from router_model.serving.access.key_budget import nanos
from router_model.serving.common.retry_after import retry_after_s
from router_model.serving.common.service_errors import InvalidRequestError, ServiceError
from router_model.serving.decision_log.log_records import AttemptRecord
from router_model.serving.formats.format import Call, Surface
from router_model.serving.formats.registry import adapter_for
from router_model.serving.formats.request_counts import with_counts_read
from router_model.serving.formats.worst_cases import worst_cases_usd
from router_model.serving.forwarding.deadlines import clock
from router_model.serving.forwarding.forwarder import Forwarder
from router_model.serving.forwarding.reply import ForwardRequest, Reply
from router_model.serving.forwarding.rules import Rules
from router_model.serving.forwarding.spent import Spent
from router_model.serving.paid_calls.calls import CallError, CallOutcome, PaidCall
from router_model.serving.paid_calls.journal import Journal
from router_model.serving.providers.fleet import Fleet
from router_model.serving.providers.health import LONGEST_TOLD_S
from router_model.serving.providers.provider import Target

OnOutcome: TypeAlias = Callable[[PaidCall, CallOutcome], None]
"""Receives each outcome when it is written down."""

PER_PROVIDER: Final = 8
"""Calls at a time that a provider gets."""
IN_A_ROW: Final = 10
"""So many failures of a model without an answer in between, and it is left alone."""
_TURNS: Final = 5
"""How often a call is asked again that a limit or an overload kept from an answer; each time has several attempts."""
_PAUSE_S: Final = 5.0
"""How long a provider is left alone that is overloaded and does not say for how long."""
_LOOK_AHEAD: Final = 4
"""Of the calls under way: so many times as many waiting calls may be overtaken by a later one."""
_LISTEN_S: Final = 0.2
_NOT_SENT: Final = frozenset(
    {"model", "stream", "stream_options", "router", "models", "session_id", "provider", "plugins", "store", "metadata"}
)
"""Fields of a body that say who is to be asked, or what is to be kept of it."""


class Why(StrEnum):
    """Why a run ended before all calls were asked."""

    BUDGET = "budget"
    """The next call may cost more than is left."""
    STOPPED = "stopped"
    """Somebody asked for the end."""
    FAILING = "failing"
    """Only calls are left that could not be answered now: their models fail again and again."""


@dataclass(slots=True)
class Ran:
    """What a run has done.

    Attributes
    ----------
    n_asked : int
        Calls that have an outcome of this run.
    left : list of PaidCall
        Calls without an answer that a later run would ask.
    why : Why or None
        Why there are any.
    """

    n_asked: int = 0
    left: list[PaidCall] = field(default_factory=list)
    why: Why | None = None


class PaidCalls:
    """Asks models; used from one event loop, one `run` after the other.

    Parameters
    ----------
    fleet : Fleet
        With a price of every model that is asked.
    journal : Journal
    per_provider : int
        Calls at a time that a provider gets.
    total_s : float
        For one call, its retries included.
    on_outcome : is told of each outcome: of those that the journal knows, and of each that was written down

    Attributes
    ----------
    failing : by model, the last error of a model that is left alone
    """

    def __init__(
        self,
        fleet: Fleet,
        journal: Journal,
        *,
        per_provider: int = PER_PROVIDER,
        total_s: float = 600.0,
        on_outcome: OnOutcome = lambda _, __: None,
    ) -> None:
        self._fleet = fleet
        self._journal = journal
        self._per_provider = per_provider
        self._total_s = total_s
        self._on_outcome = on_outcome
        # Nobody waits for one answer, so a limit is waited for as long as a provider may ask.
        self._forwarder = Forwarder(fleet, adapter_for, rules=Rules(longest_wait_s=LONGEST_TOLD_S))
        self._waiting: list[PaidCall] = []
        self._under_way: dict[asyncio.Task[CallOutcome], PaidCall] = {}
        self._ran = Ran()
        self._busy: Counter[str] = Counter()
        self._paused_until: dict[str, float] = {}
        self._in_a_row: Counter[str] = Counter()
        self._turns: Counter[str] = Counter()
        self._has_to_stop = False
        self.failing: dict[str, CallError] = {}

    @property
    def n_under_way(self) -> int:
        """Calls that were sent and have no outcome yet."""
        return len(self._under_way)

    def stop(self) -> None:
        """Begin no more calls; those under way go on."""
        self._has_to_stop = True

    def cut(self) -> None:
        """End the calls under way, too; what they have cost so far is written down."""
        self.stop()
        for task in self._under_way:
            task.cancel()

    async def run(self, calls: Iterable[PaidCall]) -> Ran:
        """Ask all calls that have no outcome yet, in their order; a call that is there twice is asked once.

        Raises
        ------
        JournalError
            If what happens cannot be written down; nothing more is sent then.
        InvalidRequestError
            If the greatest cost of a call cannot be computed (`worst_usd`).
        """
        ran = self._ran = Ran()
        self._waiting = []
        for call in {call.key: call for call in calls}.values():
            known = self._journal.outcome(call)
            if known is not None and known.is_final:
                self._on_outcome(call, known)
            else:
                self._waiting.append(call)
        try:
            await self._ask_all()
        finally:
            await self._end()
        ran.left = [*self._waiting, *ran.left]
        return ran

    async def _ask_all(self) -> None:
        ran = self._ran
        while self._waiting and not self._has_to_stop:
            is_short = self._begin()
            if self._under_way or self._pause_s() is not None:
                await self._hear()
            elif is_short:
                ran.why = Why.BUDGET
                break
        while self._under_way:
            await self._hear()
        if ran.why is None and (self._waiting or ran.left):
            ran.why = Why.STOPPED if self._has_to_stop else Why.FAILING

    def _begin(self) -> bool:
        """Begin the calls that can be begun; return whether one has to wait for money."""
        position = 0
        while position < min(len(self._waiting), self._n_seen()):
            call = self._waiting[position]
            if call.model in self.failing:
                self._ran.left.append(self._waiting.pop(position))
                continue
            targets = targets_of(self._fleet, call)
            provider = targets[0].provider
            most = min(self._per_provider, provider.max_connections)
            if self._busy[provider.name] >= most or self._paused_until.get(provider.name, 0.0) > clock():
                position += 1
                continue
            worst = nanos(worst_usd(self._fleet, call))
            if not self._journal.begin(call, worst):
                return True
            del self._waiting[position]
            self._busy[provider.name] += 1
            self._under_way[asyncio.create_task(self._ask(call, targets, worst))] = call
        return False

    def _n_seen(self) -> int:
        """Return how many of the waiting calls may be begun now."""
        return _LOOK_AHEAD * (len(self._under_way) + self._per_provider)

    def _pause_s(self) -> float | None:
        """Return for how long the first pause of a provider goes on that calls wait for; None if none is paused."""
        models = {call.model: call for call in self._waiting[: self._n_seen()]}.values()
        names = {targets_of(self._fleet, call)[0].provider.name for call in models}
        ends = [until for name in names if (until := self._paused_until.get(name, 0.0)) > clock()]
        return min(ends) - clock() if ends else None

    async def _hear(self) -> None:
        """Wait for a call's end, or for the end of a pause."""
        pause_s = self._pause_s()
        if not self._under_way:
            # Short, so that a stop is heard.
            await asyncio.sleep(min(pause_s or 0.0, _LISTEN_S))
            return
        done, _ = await asyncio.wait(self._under_way, timeout=pause_s, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            call = self._under_way.pop(task)
            self._busy[targets_of(self._fleet, call)[0].provider.name] -= 1
            if task.cancelled():
                self._journal.release(call)  # of a task that was cancelled before its first step
                self._ran.left.append(call)
            else:
                self._take(call, task.result())

    def _take(self, call: PaidCall, outcome: CallOutcome) -> None:
        error = outcome.error
        if error is None:
            self._in_a_row[call.model] = 0
        elif not error.is_final:
            self._in_a_row[call.model] += 1
            if self._in_a_row[call.model] >= IN_A_ROW:
                self.failing.setdefault(call.model, error)
            if self._turns[call.key] < (_TURNS if error.says_later else 1) and not self._has_to_stop:
                self._turns[call.key] += 1
                self._waiting.insert(0 if error.says_later else len(self._waiting), call)
                return
            self._ran.left.append(call)
        self._ran.n_asked += 1
        self._on_outcome(call, outcome)

    async def _ask(self, call: PaidCall, targets: Sequence[Target], reserved: int) -> CallOutcome:
        """Ask one call; whatever happens, it is written down what it cost."""
        spent = Spent()
        try:
            outcome = await self._forwarded(call, targets, spent, reserved)
        except BaseException:
            self._journal.lose(call, spent.settled_usd)
            raise
        self._journal.finish(call, outcome, spent.settled_usd)
        return outcome

    async def _forwarded(self, call: PaidCall, targets: Sequence[Target], spent: Spent, reserved: int) -> CallOutcome:
        request = ForwardRequest(
            _chat(call),
            targets,
            decision_id=None,
            key_id=None,
            observe=spent.add,
            total_s=self._total_s,
            affords=partial(self._affords, call, spent, reserved),
        )
        try:
            reply = await self._forwarder.forward(request)
        except ServiceError as exc:
            self._pause(targets[0].provider.name, exc)
            return CallOutcome(call.id, call.model, error=CallError.of(exc))
        return _answered(call, reply)

    def _affords(
        self, call: PaidCall, spent: Spent, reserved: int, attempts: Sequence[AttemptRecord], target: Target
    ) -> bool:
        """Reserve what one more attempt may cost, where those so far were not free."""
        del attempts, target
        if spent.unknown:
            return False
        return self._journal.extend(call, nanos(spent.cost_usd) + reserved)

    def _pause(self, provider: str, error: ServiceError) -> None:
        if not CallError.of(error).says_later:
            return
        seconds = retry_after_s(error.headers) or _PAUSE_S
        self._paused_until[provider] = max(self._paused_until.get(provider, 0.0), clock() + seconds)

    async def _end(self) -> None:
        """End what is still under way, as after an error of ours."""
        tasks, self._under_way = self._under_way, {}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for call in tasks.values():
            self._journal.release(call)


def targets_of(fleet: Fleet, call: PaidCall) -> tuple[Target, ...]:
    """Return the providers that serve a call's model, in the order in which they are asked.

    Raises
    ------
    InvalidRequestError
        If there is none.
    """
    targets = fleet.targets(call.model)
    if not targets:
        raise InvalidRequestError(f"no provider serves {call.model!r}; add it to one in the providers file")
    return targets


def worst_usd(fleet: Fleet, call: PaidCall) -> Decimal:
    """Return the greatest cost of one attempt at a call, in USD.

    Raises
    ------
    InvalidRequestError
        If no provider or price is known for its model, or its body asks for a number of tokens that cannot be.
    """
    return max(worst_cases_usd(_chat(call), targets_of(fleet, call)))


def _chat(call: PaidCall) -> Call:
    body = with_counts_read(Surface.CHAT, {name: value for name, value in call.body.items() if name not in _NOT_SENT})
    if call.max_tokens is not None and not any(body.get(name) for name in OUTPUT_LIMITS):
        body["max_tokens"] = call.max_tokens
    return Call(Surface.CHAT, body)


def _answered(call: PaidCall, reply: Reply) -> CallOutcome:
    record = reply.attempts[-1]
    return CallOutcome(
        call.id,
        call.model,
        answer=reply.body,
        finish_reason=_finish_reason(reply.body),
        cost_usd=record.cost_usd,
        input_tokens=record.input_tokens,
        output_tokens=record.output_tokens,
        latency_s=record.latency_s,
        provider=record.provider,
        called_at=record.created_at.isoformat(),
    )


def _finish_reason(answer: Mapping[str, Any] | None) -> str | None:
    choices = (answer or {}).get("choices") or [{}]
    reason = choices[0].get("finish_reason")
    return reason if isinstance(reason, str) else None
