"""No secret comes out anywhere: of a small service here, and the search itself is searched."""

import logging

import httpx2
import pytest
from canary import PASSWORD, PROVIDER_KEY, QUERY_TOKEN, Canaries
from guarded_app import guarded_app, settings_of
from http_thread import live

from router_model.serving.access.authentication import Access
from router_model.serving.access.start import check_access

PATHS = ["/v1/route", "/v1/feedback", "/admin/reload", "/none"]


@pytest.fixture
def canaries(tmp_path, monkeypatch):
    return Canaries.plant(tmp_path, monkeypatch)


def test_no_secret_comes_out_of_a_small_service(canaries, capfd):
    settings = settings_of(keys=canaries.key_file, log=canaries.url("postgresql+asyncpg://router:{}@localhost/log"))
    with canaries.watched_logs() as sinks:
        app = guarded_app(Access.of(settings, check_access(settings)), settings)
        with live(app) as port, httpx2.Client(base_url=f"http://127.0.0.1:{port}") as client:
            logging.getLogger("httpx2").disabled = True  # the client's own log has what it sent
            answers = [client.request(**request) for request in canaries.requests(PATHS)]
        for answer in answers:
            sinks.add_response(answer)
        sinks.add("settings", f"{settings!r} {settings}")
        sinks.add_files(canaries.key_file)
        sinks.add("terminal", "".join(capfd.readouterr()))
    assert {answer.status_code for answer in answers} >= {200, 400, 401, 404}
    assert any(sink == "log uvicorn.access" for sink, _ in sinks.texts)
    assert sinks.leaks() == []


def test_every_sink_is_searched(canaries, tmp_path):
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / "segment").write_bytes(b"\0" + canaries.valid_key.encode())
    with canaries.watched_logs() as sinks:
        logging.getLogger("some.library").debug("sent %s", {"authorization": canaries.invalid_key})
        logging.getLogger("extra").info("hello", extra={"url": canaries.url("redis://:{}@cache")})
        try:
            int(QUERY_TOKEN)
        except ValueError:
            logging.getLogger("uvicorn.error").exception("failed")
        sinks.add_response(
            httpx2.Response(500, headers={"x-key": canaries.secrets["keyring secret"]}, text=PROVIDER_KEY)
        )
        sinks.add_files(tmp_path / "spool")
        sinks.add("metrics", f'requests_total{{url="{PASSWORD}"}} 1')
    assert sinks.leaks() == [
        "invalid key in log some.library",
        "keyring secret in answer 500",
        "password in log extra",
        "password in metrics",
        "provider key in answer 500",
        "token in log uvicorn.error",
        "valid key in file segment",
    ]


@pytest.mark.parametrize(
    "spelling",
    ["{0}", "{0:.20}...", "b64:Q2FuYXJ5VG9rZW44c0tkOHNLZDhz", "x b64:LkNhbmFyeVRva2VuOHNLZDhzS2Q4cw=="],
)
def test_shortened_and_encoded_secrets_are_found(canaries, spelling):
    with canaries.watched_logs() as sinks:
        sinks.add("metrics", spelling.format(QUERY_TOKEN))
    assert sinks.leaks() == ["token in metrics"]


def test_logging_is_as_before_after_the_watch(canaries):
    log = logging.getLogger("canary.example")
    log.setLevel(logging.ERROR)
    with canaries.watched_logs():
        assert log.level == logging.DEBUG
    assert (log.level, log.handlers) == (logging.ERROR, [])
