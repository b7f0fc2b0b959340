"""End the calls that are still under way when a drain is over, before the process ends.

A whole answer becomes a 503 in its surface's words; a stream gets its surface's error event, and its end. What was
consumed is recorded as for any other call.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from router_model.serving.common.service_errors import NotReadyError
from router_model.serving.forwarding.attempts import SHUTDOWN
from router_model.serving.forwarding.reply import EventStream
from router_model.serving.providers.failures import FailureKind, UpstreamFailure

_SAID: Final = "the service had to end before the answer did; send the request again"


class UnderWay:
    """The calls that are under way. Once the drain is over, calls that begin all the same end at once."""

    def __init__(self) -> None:
        self._ends: set[Callable[[], None]] = set()
        self._is_over = False

    def end(self) -> None:
        """End all calls."""
        self._is_over = True
        for end in tuple(self._ends):
            end()

    @contextmanager
    def stream(self, stream: EventStream) -> Iterator[None]:
        """Send a stream in this block: it is cut when the drain is over."""
        with self._ended_by(lambda: stream.cut(UpstreamFailure(FailureKind.SHUTDOWN, _SAID))):
            yield

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Make a whole answer, or the beginning of a stream, in this block.

        Raises
        ------
        NotReadyError
            When the drain is over.
        """
        task = asyncio.current_task()
        if task is None:  # pragma: no cover  (a coroutine always runs in one)
            raise RuntimeError("UnderWay.whole was entered outside a task; use it in a coroutine")
        is_cut = False

        def cut() -> None:
            nonlocal is_cut
            is_cut = True
            task.cancel(SHUTDOWN)

        try:
            with self._ended_by(cut):
                yield
        except asyncio.CancelledError as exc:
            # Somebody else may have cancelled at the same time, e.g. as the client left: that wins.
            if is_cut and task.uncancel() == 0:
                raise NotReadyError(_SAID, headers={"retry-after": "1"}) from exc
            raise

    @contextmanager
    def _ended_by(self, end: Callable[[], None]) -> Iterator[None]:
        self._ends.add(end)
        try:
            if self._is_over:
                end()
            yield
        finally:
            self._ends.discard(end)
