"""Share a provider's connections among callers, so that each of them can get one."""

import asyncio
from collections import deque
from collections.abc import Hashable

from router_model.serving.common.shares import Shares
from router_model.serving.forwarding.deadlines import clock
from router_model.serving.providers.failures import FailureKind, UpstreamFailure
from router_model.serving.providers.health import CallerId
from router_model.serving.providers.http import HttpRequest, HttpResponse, Transport
from router_model.serving.providers.provider import Provider


class Connections:
    """Hands out connections; used from one event loop.

    A call that finds none waits for as long as connecting may take, and is then the caller's to send again: that too
    many calls are under way here says nothing of the provider. Providers that share connections share the count, so
    that nothing is ever waited for in the transport.
    """

    def __init__(self) -> None:
        self._pools: dict[Hashable, _Pool] = {}

    def shared(self, transport: Transport, provider: Provider, caller: CallerId) -> "SharedTransport":
        """Return a transport that sends what this caller has room for."""
        pool = self._pools.setdefault(provider.connections_key, _Pool(provider.max_connections))
        return SharedTransport(transport, pool, caller, provider.deadlines.connect_s)


class _Pool:
    """The connections of one provider, and the calls that wait for one."""

    def __init__(self, most: int) -> None:
        self.shares = Shares(most)
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def take(self, caller: CallerId, seconds: float) -> None:
        """Return once the caller has a connection.

        Raises
        ------
        UpstreamFailure
            With `FailureKind.BUSY` if it has none after so long.
        """
        until = clock() + seconds
        while not self.shares.take(caller):
            woken = asyncio.get_running_loop().create_future()
            self._waiting.append(woken)
            try:
                async with asyncio.timeout_at(until):
                    await woken
            except TimeoutError as exc:
                most = self.shares
                raise UpstreamFailure(
                    FailureKind.BUSY,
                    f"no connection was free within {seconds:g} s (there are at most {most.most}, and "
                    f"{most.most_of_one} for one caller); send fewer calls at a time",
                    retry_after_s=1.0,
                ) from exc
            finally:
                woken.cancel()

    def give(self, caller: CallerId) -> None:
        """Take a connection back, and wake all waiting calls, because any of them may be the next."""
        self.shares.give(caller)
        waiting, self._waiting = self._waiting, deque()
        for woken in waiting:
            if not woken.done():
                woken.set_result(None)


class SharedTransport:
    """Sends one request over a connection that its caller has room for: `take` it, `send`, and `drop` it in the end."""

    def __init__(self, transport: Transport, pool: _Pool, caller: CallerId, connect_s: float) -> None:
        self._transport = transport
        self._pool = pool
        self._caller = caller
        self._connect_s = connect_s
        self._is_taken = False

    async def take(self, left_s: float) -> None:
        """Return once there is room; the wait is ours, and no part of the provider's time.

        Parameters
        ----------
        left_s : float
            Until the call's time is up.

        Raises
        ------
        UpstreamFailure
            With `FailureKind.BUSY` if there is none in time.
        """
        await self._pool.take(self._caller, min(self._connect_s, left_s))
        self._is_taken = True

    def drop(self) -> None:
        """Give the connection back, unless a response has it."""
        if self._is_taken:
            self._is_taken = False
            self._pool.give(self._caller)

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Return the response once its headers are here; it has the connection from then on."""
        response = await self._transport.send(request)
        self._is_taken = False
        return _SharedResponse(response, self._pool, self._caller)

    async def close(self) -> None:
        """End nothing: the connections are the transport's."""


class _SharedResponse:
    """A response that gives its connection back when it is closed."""

    def __init__(self, response: HttpResponse, pool: _Pool, caller: CallerId) -> None:
        self._response = response
        self._pool: _Pool | None = pool
        self._caller = caller
        self.status = response.status
        self.headers = response.headers
        self.chunks = response.chunks

    async def close(self) -> None:
        """Close the response, and give the connection back once."""
        pool, self._pool = self._pool, None
        try:
            await self._response.close()
        finally:
            if pool is not None:
                pool.give(self._caller)
