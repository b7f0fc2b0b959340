"""Cancel a call when its client leaves, before the first token or after it."""

import asyncio
from types import TracebackType
from typing import Self

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from router_model.serving.http_edge.http_protocol import CLIENT, Client


class CancelOnDisconnect:
    """Cancels what runs in its block when the client goes away, and raises `ClientDisconnect` from it.

    Our own HTTP protocol tells it. In another server it is what `receive` says next, as the body of the request has
    been read before; a task waits for that. (A middleware in between that reads the body again would hide it:
    `BaseHTTPMiddleware` does.)
    """

    __slots__ = ("_client", "_receive", "_task", "_watcher", "gone")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._client: Client | None = scope.get(CLIENT)
        self._receive = receive
        self._watcher: asyncio.Task[None] | None = None
        self.gone = False

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        if task is None:  # pragma: no cover  (a coroutine always runs in one)
            raise RuntimeError("CancelOnDisconnect was entered outside a task; use it in a coroutine")
        self._task = task
        if self._client is None:
            self._watcher = asyncio.create_task(self._watch(), name="client")
        else:
            self._client.call_when_gone(self._leave)
        return self

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._leave()

    def _leave(self) -> None:
        self.gone = True
        self._task.cancel()

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._client is not None:
            self._client.forget(self._leave)
        elif self._watcher is not None:
            self._watcher.cancel()
        # somebody else may have cancelled at the same time, e.g. a shutdown: that wins
        if self.gone and self._task.uncancel() == 0 and kind is not None and issubclass(kind, asyncio.CancelledError):
            raise ClientDisconnect from exc
