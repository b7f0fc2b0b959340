"""The real decision service in a process of its own, with keys and a log in SQLite."""

import contextlib
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from processes import free_port, running

ROLES = ("decide", "feedback")


@dataclass(frozen=True)
class RunningService:
    """Where it is, a key for it, and its log.

    Attributes
    ----------
    url, key : str
    database, output : Path
    """

    url: str
    key: str
    database: Path
    output: Path

    def rows(self, table: str, **where: Any) -> list[dict[str, Any]]:
        """Return the rows of ``router_<table>`` that have these values, oldest first."""
        with contextlib.closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=10)) as database:
            database.row_factory = sqlite3.Row
            found = [dict(row) for row in database.execute(f"SELECT * FROM router_{table} ORDER BY created_at")]
        return [row for row in found if all(row[name] == value for name, value in where.items())]


@contextlib.contextmanager
def running_service(folder: Path, artifact: Path, **settings: str) -> Iterator[RunningService]:
    """Run one until the end of the block; `settings` are environment variables."""
    keys, database, output = folder / "keys.toml", folder / "log.db", folder / "service.log"
    made = subprocess.run(
        [sys.executable, "-m", "router_model", "keys", "create", "--name", "tests", "--file", str(keys)]
        + [argument for role in ROLES for argument in ("--role", role)],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    port = free_port()
    env = os.environ | {
        "ROUTER_ARTIFACT": str(artifact),
        "ROUTER_KEYS": str(keys),
        "ROUTER_LOG": f"sqlite+aiosqlite:///{database}",
        "ROUTER_LOG_SPOOL": str(folder / "spool"),
        "ROUTER_LOG_FLUSH_S": "0.05",
        "ROUTER_PORT": str(port),
        **settings,
    }
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        os.environ.get("INTERIM", "serving:create_app"),
        "--factory",
        "--port",
        str(port),
    ]
    url = f"http://127.0.0.1:{port}"
    with running(command, ready_url=f"{url}/readyz", output=output, env=env, cwd=folder):
        yield RunningService(url, made.stdout.strip(), database, output)
