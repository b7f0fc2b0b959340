"""For all tests of the service: one that is asked over the network, and a PostgreSQL server."""

import asyncio
from itertools import count

import pytest
from postgres_server import PostgresServer, server_programs
from running_service import running_service

_databases = count()


@pytest.fixture(scope="session")
def live_service(trained, tmp_path_factory):
    """The service in a process of its own, deciding with `trained`."""
    with running_service(tmp_path_factory.mktemp("service"), trained.path) as running:
        yield running


@pytest.fixture(scope="session")
def postgres():
    """A running PostgreSQL server; skips where it is not installed."""
    programs = server_programs()
    if programs is None:
        pytest.skip("no PostgreSQL server here (Debian: apt-get install postgresql)")
    pytest.importorskip("asyncpg")
    server = PostgresServer(programs)
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def new_database(postgres):
    """Return what makes an empty database and returns its URL."""
    import asyncpg

    async def make(name):
        connection = await asyncpg.connect(postgres.url("postgres").replace("+asyncpg", ""))
        await connection.execute(f'CREATE DATABASE "{name}"')
        await connection.close()

    def new():
        name = f"log{next(_databases)}"
        asyncio.run(make(name))
        return postgres.url(name)

    return new
