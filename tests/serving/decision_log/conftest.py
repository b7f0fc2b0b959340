"""What is in a store of any kind."""

import asyncio

import pytest

from router_model.serving.decision_log.opening import open_store
from router_model.serving.decision_log.rows import FIELDS, Kind, record_of
from router_model.serving.decision_log.segments import rows_of, scan
from router_model.serving.decision_log.store import Period


@pytest.fixture
def stored(tmp_path_factory):
    """Return what reads all records of a kind that are in the store at a URL, duplicates included, by id."""

    async def read(url, kind):
        store = open_store(url)
        await store.open(create=False)
        files = await store.stage(kind, Period(), tmp_path_factory.mktemp("stage"))
        await store.close()
        return [record_of(kind, row) for row in rows_of(kind, scan(kind, files).collect())]

    def records(url, kind=Kind.DECISION):
        row_id = next(iter(FIELDS[kind]))
        return sorted(asyncio.run(read(url, kind)), key=lambda record: getattr(record, row_id))

    return records
