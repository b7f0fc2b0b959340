"""Wait for what another thread or process does."""

import asyncio

PATIENT_S = 60.0


async def until(condition):
    """Return when the condition holds; fail after `PATIENT_S`."""
    async with asyncio.timeout(PATIENT_S):
        while not condition():  # noqa: ASYNC110  (there is no event: it is in another thread)
            await asyncio.sleep(0.005)
