"""Wait for what another thread or process does."""

import asyncio
from inspect import isawaitable

PATIENT_S = 60.0


async def until(condition):
    """Return when the condition, which may be a coroutine function, holds; fail after `PATIENT_S`."""
    async with asyncio.timeout(PATIENT_S):
        while not await _holds(condition()):  # noqa: ASYNC110  (there is no event: it is in another thread)
            await asyncio.sleep(0.005)


async def _holds(found):
    return await found if isawaitable(found) else found
