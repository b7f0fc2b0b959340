"""Limit the time of everything that a provider is waited for, closing included. Times are the event loop's."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Coroutine
from typing import Any, Final, TypeVar

from router_model.serving.common.error_location import error_location
from router_model.serving.common.log_throttle import LogThrottle
from router_model.serving.providers.failures import FailureKind, UpstreamFailure
from router_model.serving.providers.http import HttpResponse

T = TypeVar("T")

_logger = logging.getLogger(__name__)
_throttle: Final = LogThrottle()
_going_on: Final[set[asyncio.Task[None]]] = set()  # the loop itself holds tasks weakly


def clock() -> float:
    """Return the running event loop's time, in seconds."""
    return asyncio.get_running_loop().time()


async def within(seconds: float, doing: Awaitable[T], what: str) -> T:
    """Return the awaited result, within a time.

    Raises
    ------
    UpstreamFailure
        With `FailureKind.TIMEOUT` if it takes longer; the message names `what` did not come.
    """
    try:
        async with asyncio.timeout(seconds):
            return await doing
    except TimeoutError as exc:
        raise too_late(what, seconds) from exc


async def to_its_end(doing: Coroutine[Any, Any, None]) -> None:
    """Await what goes on to its end even if this is cancelled, again and again, as a server's task groups do."""
    task = asyncio.get_running_loop().create_task(doing)
    _going_on.add(task)
    task.add_done_callback(_going_on.discard)
    await asyncio.shield(task)


def too_late(what: str, seconds: float) -> UpstreamFailure:
    """Return the failure of something that did not come in time.

    >>> too_late("first token", 60.0).message
    'no first token within 60 s'
    """
    return UpstreamFailure(FailureKind.TIMEOUT, f"no {what} within {seconds:.3g} s")


async def close(response: HttpResponse, chunks: AsyncIterator[bytes] | None, seconds: float, whose: str) -> None:
    """Close a response, and the iterator over its body; what goes wrong is logged and does not matter any more."""
    try:
        async with asyncio.timeout(seconds):
            try:
                aclose = getattr(chunks, "aclose", None)  # of a generator that is not at its end
                if aclose is not None:
                    await aclose()
            finally:
                await response.close()
    except Exception as exc:  # noqa: BLE001  (the answer is there, or has failed already)
        if times := _throttle.due(whose):
            _logger.warning("%s: a response could not be closed: %s (%d times)", whose, error_location(exc), times)
