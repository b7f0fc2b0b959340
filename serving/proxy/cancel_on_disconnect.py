"""Cancel a call when its client leaves, before the first token or after it."""

import asyncio
from types import TracebackType
from typing import Self

from starlette.requests import ClientDisconnect
from starlette.types import Receive


class CancelOnDisconnect:
    """Cancels what runs in its block when the client goes away, and raises `ClientDisconnect` from it.

    The body of the request has been read before: what `receive` says next is that the client has left. (A middleware
    in between that reads the body again would hide that: `BaseHTTPMiddleware` does.)
    """

    __slots__ = ("_receive", "_task", "_watcher", "gone")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.gone = False

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        if task is None:  # pragma: no cover  (a coroutine always runs in one)
            raise RuntimeError("CancelOnDisconnect was entered outside a task; use it in a coroutine")
        self._task = task
        self._watcher = asyncio.create_task(self._watch(), name="client")
        return self

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        self._task.cancel()

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._watcher.cancel()
        # somebody else may have cancelled at the same time, e.g. a shutdown: that wins
        if self.gone and self._task.uncancel() == 0 and kind is not None and issubclass(kind, asyncio.CancelledError):
            raise ClientDisconnect from exc
