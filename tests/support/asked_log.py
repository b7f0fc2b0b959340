"""Ask an open store of the decision log, and write to it."""

import asyncio
from contextlib import asynccontextmanager

from router_model.serving.decision_log.opening import open_store
from router_model.serving.decision_log.rows import batch_of, row_of


@asynccontextmanager
async def opened(url):
    """Open the store of a log; its tables are made where there are none."""
    store = open_store(url)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def asked(url, question):
    """Run a coroutine function with an opened store, and return what it returns."""

    async def run():
        async with opened(url) as store:
            return await question(store)

    return asyncio.run(run())


async def put(store, *records, name="a batch"):
    await store.write(batch_of(map(row_of, records)), name)
