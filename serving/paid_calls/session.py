"""Ask models from a command: batch after batch, until all is asked, the budget has ended or Ctrl-C is pressed."""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from router_model.serving.paid_calls.calls import CallError, PaidCall
from router_model.serving.paid_calls.journal import Journal
from router_model.serving.paid_calls.runner import PER_PROVIDER, OnOutcome, PaidCalls, Ran, Why
from router_model.serving.providers.fleet import Fleet

GRACE_S: Final = 120.0
"""How long calls under way may take after the first Ctrl-C."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a session has done.

    Attributes
    ----------
    n_asked : int
        Calls that got an outcome.
    why : Why or None
        Why calls are left that a later session would ask. After `Why.BUDGET` and `Why.STOPPED` no further batch was
        asked for.
    failing : by model, the last error of a model that was left alone
    """

    n_asked: int
    why: Why | None
    failing: dict[str, CallError]


def ask_models(
    batches: Iterable[Sequence[PaidCall]],
    fleet: Fleet,
    journal: Journal,
    *,
    per_provider: int = PER_PROVIDER,
    total_s: float = 600.0,
    on_outcome: OnOutcome = lambda _, __: None,
    on_stop: Callable[[int], None] = lambda _: None,
) -> Asked:
    """Ask all calls of all batches.

    The first Ctrl-C (or SIGTERM) begins no more calls and waits for those under way, for `GRACE_S` at most. The second
    ends these at once.

    Parameters
    ----------
    batches : iterable of lists of calls
        The next one is asked for when all outcomes of the one before have been told, so that it may depend on them.
    fleet : Fleet
        Closed in the end.
    journal : Journal
    per_provider, total_s, on_outcome : see `PaidCalls`
    on_stop : is told with each Ctrl-C how many calls are under way

    Raises
    ------
    KeyboardInterrupt
        After the second Ctrl-C. The journal has all that had come until then.
    JournalError, InvalidRequestError
        See `PaidCalls.run`.
    """
    paid_calls = PaidCalls(fleet, journal, per_provider=per_provider, total_s=total_s, on_outcome=on_outcome)
    return asyncio.run(_asked(batches, fleet, paid_calls, on_stop))


async def _asked(
    batches: Iterable[Sequence[PaidCall]],
    fleet: Fleet,
    paid_calls: PaidCalls,
    on_stop: Callable[[int], None],
) -> Asked:
    done = Ran()
    try:
        with _listening(paid_calls, on_stop) as presses:
            for batch in batches:
                ran = await paid_calls.run(batch)
                done.n_asked += ran.n_asked
                done.why = ran.why or done.why
                if ran.why in {Why.BUDGET, Why.STOPPED}:
                    break
    finally:
        await fleet.close()
    if len(presses) > 1:
        raise KeyboardInterrupt
    return Asked(done.n_asked, done.why, paid_calls.failing)


@contextmanager
def _listening(paid_calls: PaidCalls, on_stop: Callable[[int], None]) -> Iterator[list[int]]:
    """Hear Ctrl-C and SIGTERM until the end of the block; the list has an entry for each."""
    presses: list[int] = []
    loop = asyncio.get_running_loop()

    def press() -> None:
        presses.append(paid_calls.n_under_way)
        on_stop(paid_calls.n_under_way)
        if len(presses) > 1:
            paid_calls.cut()
        else:
            paid_calls.stop()
            loop.call_later(GRACE_S, paid_calls.cut)

    def hear(*_: Any) -> None:
        loop.call_soon_threadsafe(press)

    if threading.current_thread() is not threading.main_thread():  # only that one may listen
        yield presses
        return
    before = {number: signal.signal(number, hear) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield presses
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
