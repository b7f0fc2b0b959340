"""``router-model serve`` as a whole: the process, a steady load on it, and what its log has afterwards."""

import asyncio
import contextlib
import json
import math
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
from http_load import HEADER_END, Connection, post
from processes import eventually
from simulated_world import SUM

from router_model.serving.access.issuing import create_key
from router_model.serving.common.callers import Role

SERVE = (sys.executable, "-m", "router_model")
WATCHED_SERVE = (sys.executable, str(Path(__file__).with_name("watched_serve.py")))
LOADED = {"messages": [{"role": "user", "content": SUM}]}


@dataclass
class System:
    """A service that runs.

    Attributes
    ----------
    process : of the command
    port : int
    key : one with every role
    folder : Path
        Its working folder, with its log (SQLite, unless told otherwise) and its spool.
    log : URL of its log
    """

    process: subprocess.Popen
    port: int
    key: str
    folder: Path
    log: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def output(self) -> str:
        """What it said so far."""
        return (self.folder / "said").read_text()

    def call(self, method: str, path: str, json: object = None, **headers: str) -> httpx2.Response:
        """Ask it for something, over a connection of its own."""
        headers = {"authorization": f"Bearer {self.key}"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        return httpx2.request(method, self.url + path, json=json, headers=headers, timeout=20, trust_env=False)

    def route(self, **body: object) -> dict:
        """Return the decision for a body, which is for `SUM` unless it says otherwise."""
        answer = self.call("POST", "/v1/route", LOADED | body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def status(self) -> dict:
        return self.call("GET", "/admin/status").json()

    def metrics(self) -> dict[str, float]:
        """Return the value of every metric, by its name and labels as they are printed."""
        lines = self.call("GET", "/metrics").text.splitlines()
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}

    def total(self, name: str) -> float:
        """Return the sum of a metric over its labels."""
        return sum(value for found, value in self.metrics().items() if found.partition("{")[0] == name)

    def rows(self, table: str, **where: object) -> list[dict]:
        """Return the rows of ``router_TABLE`` of a log in SQLite that have these values, oldest first."""
        path = self.log.partition("///")[2]
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as database:
            database.row_factory = sqlite3.Row
            found = [dict(row) for row in database.execute(f"SELECT * FROM router_{table} ORDER BY created_at")]
        return [row for row in found if all(row[name] == value for name, value in where.items())]

    def kill(self) -> float:
        """Kill -9; return when."""
        self.process.kill()
        when = time.monotonic()
        self.process.wait(timeout=20)
        return when

    def end(self, limit_s: float = 60) -> int:
        """Send SIGTERM; return the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=limit_s)


@contextlib.contextmanager
def system(
    folder: Path, artifact: Path, *, program: tuple[str, ...] = SERVE, roles: Iterable[Role] = Role, **settings: object
) -> Iterator[System]:
    """Run the service until the end of the block.

    Parameters
    ----------
    folder : Path
        Where it runs; one that ran there before left its log and its spool.
    artifact : Path
    program : what knows ``serve``
    roles : of the key; all of them unless said
    settings : changes of the options
    """
    folder.mkdir(exist_ok=True)
    _, key = create_key(folder / "keys.toml", name=f"tests-{time.time_ns()}", roles=roles)
    options = {
        "log": f"sqlite+aiosqlite:///{folder / 'log.db'}",
        "log_spool": folder / "spool",
        "keys": folder / "keys.toml",
        "decision_deadline_s": 5,
        "port": 0,
    } | settings
    arguments = [str(part) for name, value in options.items() for part in (f"--{name.replace('_', '-')}", value)]
    said = folder / "said"
    with said.open("w") as sink:
        process = subprocess.Popen(
            [*program, "serve", str(artifact), *arguments], cwd=folder, stdout=sink, stderr=subprocess.STDOUT
        )
    try:
        (port,) = eventually(lambda: _address(process, said), "it says where it listens", limit_s=180)
        running = System(process, int(port), key, folder, str(options["log"]))
        eventually(lambda: _ready(running), "it is ready", limit_s=180)
        yield running
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(timeout=5)


def _address(process: subprocess.Popen, said: Path) -> list[str]:
    assert process.poll() is None, said.read_text()
    return re.findall(r"listening on http://127\.0\.0\.1:(\d+)\n", said.read_text())


def _ready(running: System) -> bool:
    assert running.process.poll() is None, running.output
    try:
        return running.call("GET", "/readyz").status_code == 200
    except httpx2.RequestError:
        return False


@dataclass
class Answer:
    """What came back.

    Attributes
    ----------
    sent_s, came_s : float
        Monotonic time.
    status : int
        0 where the connection broke.
    body : dict
    """

    sent_s: float
    came_s: float
    status: int
    body: dict


@dataclass
class Load:
    """A steady load, from a thread: keep-alive connections that each send a request when it is due.

    Attributes
    ----------
    answers : in the order they came
    """

    port: int
    key: str
    per_second: float = 60.0
    n_connections: int = 6
    answers: list[Answer] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    @property
    def ids(self) -> set[str]:
        """Decisions that were answered."""
        return {answer.body["id"] for answer in self.answers if answer.status == 200}

    @property
    def statuses(self) -> set[int]:
        return {answer.status for answer in self.answers}

    def artifacts_between(self, since_s: float = -math.inf, until_s: float = math.inf) -> set[str]:
        """Return the artifacts that answered what was sent between two moments."""
        asked = (answer for answer in self.answers if since_s <= answer.sent_s <= until_s)
        return {answer.body["policy"]["artifact"] for answer in asked}

    def wait_for(self, n: int) -> None:
        """Return when `n` more answers have come."""
        wanted = len(self.answers) + n
        eventually(lambda: len(self.answers) >= wanted, f"{n} more answers", limit_s=180)

    def run(self) -> None:
        asyncio.run(self._run())

    def stop(self) -> None:
        self._stop.set()

    async def _run(self) -> None:
        payload = post("/v1/route", json.dumps(LOADED).encode(), host=f"127.0.0.1:{self.port}", key=self.key)
        await asyncio.gather(*(self._client(payload, n) for n in range(self.n_connections)))

    async def _client(self, payload: bytes, number: int) -> None:
        """Send until stopped, or until the connection breaks."""
        connection = Connection("127.0.0.1", self.port)
        pause_s = self.n_connections / self.per_second
        due = time.monotonic() + pause_s * number / self.n_connections
        while not self._stop.is_set():
            await asyncio.sleep(max(due - time.monotonic(), 0))
            due += pause_s
            sent = time.monotonic()
            status, answer = await connection.request(payload)
            body = json.loads(answer.partition(HEADER_END)[2]) if status else {}
            self.answers.append(Answer(sent, time.monotonic(), status, body))
            if not status:
                break
        connection.close()


@contextlib.contextmanager
def load(running: System, **settings: float) -> Iterator[Load]:
    """Ask for decisions until the end of the block; all answers are there then."""
    one = Load(running.port, running.key, **settings)
    thread = threading.Thread(target=one.run, daemon=True)
    thread.start()
    try:
        one.wait_for(20)
        yield one
    finally:
        one.stop()
        thread.join(timeout=60)
    assert not thread.is_alive(), "the load did not end"


def logged_ids(url: str, table: str = "decisions", name: str = "decision_id") -> list[str]:
    """Return the ids in a log, as often as they are there."""
    query = f"SELECT {name} FROM router_{table}"
    if url.startswith("sqlite"):
        with contextlib.closing(sqlite3.connect(url.partition("///")[2], timeout=10)) as database:
            return [row[0] for row in database.execute(query)]
    import asyncpg

    async def read() -> list[str]:
        connection = await asyncpg.connect(url.replace("+asyncpg", ""))
        try:
            return [row[0] for row in await connection.fetch(query)]
        finally:
            await connection.close()

    return asyncio.run(read())
