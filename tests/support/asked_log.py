"""Ask an open store of the decision log, and write to it."""

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config

from router_model.serving.decision_log import schema
from router_model.serving.decision_log.opening import open_store
from router_model.serving.decision_log.rows import batch_of, row_of


@asynccontextmanager
async def opened(url):
    """Open the store of a log; its tables are made where there are none."""
    store = open_store(url)
    try:
        await store.open()
        yield store
    finally:
        await store.close()


def asked(url, question):
    """Run a coroutine function with an opened store, and return what it returns."""

    async def run():
        async with opened(url) as store:
            return await question(store)

    return asyncio.run(run())


def written(url, *records):
    """Write records to a log, as one batch."""
    asked(url, lambda store: put(store, *records))


async def put(store, *records, name="a batch"):
    await store.write(batch_of(map(row_of, records)), name)


def migrated_to(version, connection):
    """Take the tables of a log back to what they were in a version."""
    config = Config()
    config.set_main_option("script_location", str(Path(schema.__file__).with_name("migrations")))
    config.attributes["connection"] = connection
    command.downgrade(config, version)
