"""Ask an open store of the decision log, and write to it."""

import asyncio

from router_model.serving.decision_log.opening import open_store
from router_model.serving.decision_log.rows import batch_of, row_of


def asked(url, question, *, opened=True):
    """Run a coroutine function with a store, which is opened unless told otherwise, and return what it returns."""

    async def run():
        store = open_store(url)
        if opened:
            await store.open()
        try:
            return await question(store)
        finally:
            await store.close()

    return asyncio.run(run())


async def put(store, *records):
    await store.write(batch_of(map(row_of, records)), "a batch")
