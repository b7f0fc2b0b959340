"""No secret comes out of the whole service anywhere, and nothing answers without a key that should ask for one."""

import asyncio
import logging

import httpx2
import pytest
from canary import Canaries, Sinks
from click.testing import CliRunner
from http_thread import live
from processes import deaf_port, eventually
from route_audit import open_operations
from starlette.testclient import TestClient
from system import system

from router_model.cli import group
from router_model.serving.app import create_app
from router_model.serving.common.settings import Settings

pytestmark = pytest.mark.slow  # processes that are started, loaded and ended

OPEN = {"GET /healthz", "GET /readyz", "GET /openapi.json", "GET /docs"} | {
    f"{method} /console/{path}"  # signing in, what the sign-in page loads, and a page that is not there
    for method, path in (
        ("GET", "sign-in"), ("POST", "sign-in"), ("POST", "sign-out"), ("GET", "static/{name}"), ("GET", "{rest:path}"),
    )
}  # fmt: skip
ASKED = {
    "POST": ["/v1/route", "/v1/route/batch", "/v1/feedback", "/v1/outcomes", "/v2/modelRouter/modelSelect",
             "/routing/v1/chat/completions", "/admin/reload", "/none"],
    "GET": ["/v1/models", "/metrics", "/admin/status", "/readyz", "/openapi.json"],
}  # fmt: skip
CHAT = b'{"messages": [{"role": "user", "content": "Hi"}]}'
BODIES = {
    "/v1/feedback": b'{"decision_id": "dec_1", "score": 1}',
    "/v1/outcomes": b'{"decision_id": "dec_1", "status": 200}',
    "/v1/route/batch": b'{"requests": [%s]}' % CHAT,
}


@pytest.fixture
def canaries(tmp_path, monkeypatch):
    return Canaries.plant(tmp_path, monkeypatch)


@pytest.fixture
def settings(canaries, trained, tmp_path):
    """Of a service whose log and session store cannot be reached, with passwords in their URLs."""
    with deaf_port() as port:
        yield Settings(
            artifact=trained.path, keys=canaries.key_file, decision_deadline_s=10, log_flush_s=0.05,
            log=canaries.url(f"postgresql+asyncpg://router:{{}}@127.0.0.1:{port}/log"), log_spool=tmp_path / "spool",
            session_store=canaries.url(f"redis://:{{}}@127.0.0.1:{port}/0"),
        )  # fmt: skip


def test_who_needs_no_key(settings):
    app = create_app(settings.model_copy(update={"log": "none", "session_store": "memory"}))
    with TestClient(app, base_url="http://127.0.0.1:8484") as client:
        assert open_operations(app, client) == OPEN


@pytest.mark.parametrize("store", ["away", "postgresql", "sqlite"])
def test_no_secret_comes_out_of_the_service(canaries, settings, request, capfd, store):
    """Once all records end in the spool and what fails is said, and once in each database, and in an export."""
    pytest.importorskip("redis", reason="needs the extra 'redis'")
    tmp_path = request.getfixturevalue("tmp_path")
    url = f"sqlite:///{tmp_path}/log.db"
    if store == "postgresql":
        url = request.getfixturevalue("new_database")().replace("router@", canaries.url("router:{}@"))
    if store != "away":
        settings = settings.model_copy(update={"log": url, "session_store": "log"})
    with canaries.watched_logs() as sinks:
        logging.getLogger("httpx2").disabled = True  # the client's own log has what it sent
        app = create_app(settings)
        with live(app) as port, httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            answers = [
                client.request(**one)
                for method, paths in ASKED.items()
                for path in paths
                for one in canaries.requests([path], BODIES.get(path, CHAT) if method == "POST" else b"", method)
            ]
            state = client.get("/admin/status", headers={"authorization": f"Bearer {canaries.valid_key}"})
        for answer in answers:
            sinks.add_response(answer)
        sinks.add("settings", f"{settings!r} {settings}")
        sinks.add_files(canaries.key_file, tmp_path / "spool")
        if store != "away":
            sinks.add("export", exported(settings, tmp_path))
            sinks.add_files(*tmp_path.glob("log.db*"), tmp_path / "table.jsonl")
        if store == "postgresql":
            sinks.add("database", dump(url))
        sinks.add("keys list", CliRunner().invoke(group, ["keys", "list", "--file", str(canaries.key_file)]).output)
        sinks.add("terminal", "".join(capfd.readouterr()))
    assert {answer.status_code for answer in answers} >= {200, 202, 400, 401, 404}
    assert 500 not in {answer.status_code for answer in answers}
    assert state.json()["log"]["available"] is (store != "away")
    assert store != "away" or list((tmp_path / "spool").glob("*.spool"))
    assert sinks.leaks() == []


def dump(url):
    """Return all rows of the log's tables as text."""
    import asyncpg

    async def read():
        connection = await asyncpg.connect(url.replace("+asyncpg", ""))
        try:
            tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            found = [await connection.fetch(f'SELECT t::text FROM "{name}" t') for (name,) in tables]
        finally:
            await connection.close()
        return "\n".join(row[0] for rows in found for row in rows)

    text = asyncio.run(read())
    assert "dec_" in text
    return text


def exported(settings, folder):
    out = folder / "table.jsonl"
    log = ["--log", settings.log, "--spool", str(settings.log_spool)]
    done = CliRunner().invoke(group, ["log", "export", *log, "--out", str(out)])
    assert done.exit_code == 0, done.output
    return done.output


def test_no_secret_comes_out_of_the_command(canaries, settings, trained, tmp_path):
    """What `router-model serve` says, with a store that is away, and what it says of settings it does not take."""
    sinks = Sinks(canaries)
    away = {"log": settings.log, "session_store": settings.session_store}
    with system(tmp_path / "service", trained.path, **away) as service:
        service.route()
        eventually(lambda: "the log's store does not take records" in service.output, "it is said")
        assert service.end() == 0
    sinks.add("said", service.output)
    wrong = [("--log", canaries.url("oracle://me:{}@host/log")), ("--log", canaries.url("postgresql://me:{}@host:x/log")),
             ("--session-store", canaries.url("memcached://me:{}@host/0"))]  # fmt: skip
    for option in wrong:
        done = CliRunner().invoke(group, ["serve", str(trained.path), "--insecure", *option])
        assert done.exit_code != 0, option
        sinks.add(f"refusal of {option[0]}", done.output + repr(done.exception))
    assert sinks.leaks() == []
