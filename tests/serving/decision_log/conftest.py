"""Every kind of store, each test with an empty one."""

import asyncio

import pytest

from router_model.serving.decision_log.opening import open_store
from router_model.serving.decision_log.rows import FIELDS, Kind, record_of
from router_model.serving.decision_log.segments import rows_of, scan
from router_model.serving.decision_log.store import Period


@pytest.fixture(params=["sqlite", "postgresql", "parquet"])
def log_url(request, tmp_path):
    """URL of an empty log."""
    if request.param == "postgresql":
        return request.getfixturevalue("new_database")()
    return f"sqlite+aiosqlite:///{tmp_path}/log.db" if request.param == "sqlite" else f"parquet:{tmp_path}/log"


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
