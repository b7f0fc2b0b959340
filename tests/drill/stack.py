"""All that an operator runs: PostgreSQL, two providers, the service, a Prometheus with the shipped alerts."""

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import clock
import httpx2
from disks import small_disk
from postgres_server import PostgresServer, server_programs
from processes import free_port
from prometheus_server import Prometheus, prometheus
from providers import KEY_VARIABLE, MockProvider, two_providers
from simulated_world import BOLD, CATALOG, simulate
from supervised import WORKERS, Service, supervised

from router_model import Catalog
from router_model.saved.place import Place
from router_model.serving.access.issuing import create_key
from router_model.serving.common.callers import Role
from router_model.training.train import train

N_CALLERS = 3
POSTGRES_MB, SPOOL_MB = 256, 8


@dataclass(frozen=True)
class Stack:
    """What runs.

    Attributes
    ----------
    folder : Path
        With ``keys.toml``, ``providers.toml`` and the folder ``routers``.
    postgres : PostgresServer
    log : URL of its database that has the log
    postgres_disk, spool : Path
        The disk of PostgreSQL; the spool, a disk of its own.
    providers : the one that is asked first, and the other one
    service : Service
    scraping : Prometheus
    callers : keys of those who ask
    admin : key of the operator
    """

    folder: Path
    postgres: PostgresServer
    log: str
    postgres_disk: Path
    spool: Path
    providers: tuple[MockProvider, MockProvider]
    service: Service
    scraping: Prometheus
    callers: tuple[str, ...]
    admin: str

    @property
    def place(self) -> Place:
        return Place(self.folder / "routers")

    def reload(self) -> httpx2.Response:
        """Ask a worker to read artifact and providers again."""
        headers = {"authorization": f"Bearer {self.admin}"}
        return httpx2.post(f"{self.service.url}/admin/reload", headers=headers, timeout=60, trust_env=False)

    def missing(self, decisions: set[str]) -> set[str]:
        """Return which decisions the log has not.

        Raises
        ------
        OSError, asyncpg.PostgresError
            If it cannot be read now.
        """
        asked = "SELECT decision_id FROM router_decisions WHERE decision_id = ANY($1)"
        return decisions - {row[0] for row in asyncio.run(self._ask(asked, list(decisions)))}

    def n_logged_around(self, seconds: int) -> int:
        """Return how many decisions have a time so far from now, give or take ten minutes."""
        asked = (
            "SELECT count(*) FROM router_decisions"
            " WHERE abs(extract(epoch FROM created_at - now()) - $1::double precision) < 600"
        )
        return asyncio.run(self._ask(asked, float(seconds)))[0][0]

    def attempts(self, decision: str) -> str:
        """Return what the log knows of a decision's calls, the first one first."""
        asked = (
            "SELECT created_at::time(1), provider, model, coalesce(error_type, 'answered'),"
            " round(latency_s::numeric, 1) FROM router_attempts WHERE decision_id = $1 ORDER BY created_at"
        )
        return "; ".join(" ".join(map(str, row)) for row in asyncio.run(self._ask(asked, decision)))

    async def _ask(self, query: str, value: object) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.log.replace("+asyncpg", ""), timeout=3)
        try:
            return await connection.fetch(query, value, timeout=10)
        finally:
            await connection.close(timeout=3)


@contextlib.contextmanager
def running_stack(folder: Path) -> Iterator[Stack]:
    """Start everything in a new folder; end it, and nothing else, with the block."""
    programs = server_programs()
    if programs is None:
        raise SystemExit("PostgreSQL is missing: apt-get install postgresql")
    with contextlib.ExitStack() as ended:
        disk = ended.enter_context(small_disk(folder / "postgres-disk", POSTGRES_MB))
        spool = ended.enter_context(small_disk(folder / "spool", SPOOL_MB))
        postgres = PostgresServer(programs, kept=disk / "cluster", min_wal_size="32MB", max_wal_size="64MB")
        ended.callback(postgres.remove)
        postgres.start()
        log = postgres.url(asyncio.run(postgres.create_database()))
        providers = ended.enter_context(two_providers())
        _write_router(folder)
        (folder / "providers.toml").write_text("\n".join(one.as_toml() for one in providers))
        callers = tuple(_key(folder, f"team-{n}", Role.DECIDE, Role.PROXY) for n in range(N_CALLERS))
        port = free_port()
        options = {
            "workers": WORKERS, "port": port, "keys": folder / "keys.toml", "providers": folder / "providers.toml",
            "log": log, "log-spool": spool, "budget-file": folder / "budgets.db",
        }  # fmt: skip
        arguments = [str(part) for name, value in options.items() for part in (f"--{name}", value)]
        service = ended.enter_context(
            supervised(
                [str(folder / "routers"), *arguments],
                port=port,
                folder=folder,
                # A parent that is killed leaves the folder of its metrics in the one for temporary files.
                environment={KEY_VARIABLE: "sk-drill", "TMPDIR": str(folder)} | clock.movable(folder),
            )
        )
        metrics = _key(folder, "prometheus", Role.METRICS)
        scraping = ended.enter_context(prometheus(folder / "prometheus", f"127.0.0.1:{port}", metrics))
        admin = _key(folder, "operator", Role.ADMIN)
        yield Stack(folder, postgres, log, disk, spool, providers, service, scraping, callers, admin)


def _key(folder: Path, name: str, *roles: Role) -> str:
    return create_key(folder / "keys.toml", name=name, roles=roles)[1]


def _write_router(folder: Path) -> None:
    """Train a small router and publish it, as ``router-model promote`` does."""
    table, made = folder / "outcomes.parquet", folder / "router"
    simulate(500).write_parquet(table)
    train(table, made, catalog=Catalog.parse(CATALOG, origin="catalog.toml"), config=BOLD)
    Place(folder / "routers").publish(made, {"reason": "the drill"}, instead_of=None)
