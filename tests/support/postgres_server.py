"""A PostgreSQL server of a test's own, started and stopped at will."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from itertools import count
from pathlib import Path

from processes import free_port

USER = "router"
PROGRAMS = ("postgres", "initdb", "pg_isready")


def server_programs():
    """Return the folder of the server's programs, or None where PostgreSQL is not installed."""
    found = shutil.which("postgres")
    folders = [Path(found).parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if all((folder / name).exists() for name in PROGRAMS)), None)


class PostgresServer:
    """A cluster on a free port of loopback: in a temporary folder, or in one that is kept. The server refuses to run as
    root, so root runs it as another user."""

    def __init__(self, programs, kept=None, **settings):
        self._programs = programs
        self._settings = {"listen_addresses": "127.0.0.1", "fsync": "off"} | settings
        self._is_kept = kept is not None
        self.folder = Path(tempfile.mkdtemp(prefix="router-postgres-")) if kept is None else Path(kept).absolute()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._as_user = {}
        if os.geteuid() == 0:
            names = {entry.pw_name for entry in pwd.getpwall()}
            account = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
            os.chown(self.folder, account.pw_uid, account.pw_gid)
            self._as_user = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        self.port = free_port()
        self._process = None
        self._numbers = count()
        if not (self.folder / "data").exists():
            self._run("initdb", "--auth=trust", f"--username={USER}", "--encoding=UTF8", "--no-sync")

    @property
    def pid(self):
        """The process id of the server, whose children are its connections."""
        return self._process.pid

    def url(self, database):
        return f"postgresql+asyncpg://{USER}@127.0.0.1:{self.port}/{database}"

    def start(self):
        options = ["-p", str(self.port), "-k", str(self.folder)]
        for name, value in self._settings.items():
            options += ["-c", f"{name}={value}"]
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self.folder / "data", *options],
                stdout=log, stderr=log, cwd=self.folder, **self._as_user,
            )  # fmt: skip
        deadline = time.monotonic() + 30
        while not self._answers():
            assert self._process.poll() is None, (self.folder / "server.log").read_text()
            assert time.monotonic() < deadline, "PostgreSQL did not start in 30 s"
            time.sleep(0.05)

    def ensure(self):
        """Start it unless it runs."""
        if self._process.poll() is not None:
            self.start()

    def stop(self, *, immediately=False):
        """Stop it with its connections; `immediately`: like a crash, the next start recovers."""
        self._process.send_signal(signal.SIGQUIT if immediately else signal.SIGINT)
        self._process.wait(timeout=30)

    async def create_database(self):
        """Return the name of a new database."""
        name = f"log{next(self._numbers)}"
        await self._execute("postgres", f'CREATE DATABASE "{name}"')
        return name

    async def empty_database(self, name):
        """End its connections, and remove all that is in it."""
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = "
        await self._execute("postgres", f"{ended}'{name}'")
        await self._execute(name, "DROP SCHEMA public CASCADE; CREATE SCHEMA public")

    async def _execute(self, database, statement):
        import asyncpg

        connection = await asyncpg.connect(self.url(database).replace("+asyncpg", ""))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    def remove(self):
        """Stop it, and remove its folder unless that is kept."""
        if self._process and self._process.poll() is None:
            self.stop(immediately=not self._is_kept)
        if not self._is_kept:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _answers(self):
        asked = subprocess.run(
            [self._programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)], check=False, timeout=10
        )
        return asked.returncode == 0

    def _run(self, program, *arguments):
        done = subprocess.run(
            [self._programs / program, "-D", self.folder / "data", *arguments],
            capture_output=True, text=True, check=False, timeout=60, cwd=self.folder, **self._as_user,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
