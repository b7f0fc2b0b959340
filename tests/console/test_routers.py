"""The console of a service with two routers: each has its pages, and what it decided is found alone."""

import re

import pytest
from processes import eventually
from simulated_world import SUM
from starlette.testclient import TestClient

from router_model.serving.app import create_app
from router_model.serving.common.settings import Settings


@pytest.fixture
def client(valued, tmp_path):
    settings = Settings(
        router=(f"dear={valued['dear']}", f"cheap={valued['cheap']}"),
        insecure=True,
        log=f"sqlite+aiosqlite:///{tmp_path}/log.db",
        log_spool=tmp_path / "spool",
        decision_deadline_s=30,
    )
    with TestClient(create_app(settings), base_url="http://127.0.0.1:8484") as client:
        yield client


def test_each_router_has_its_pages_and_its_decisions(client):
    ask = {"messages": [{"role": "user", "content": SUM}]}
    made = {name: client.post("/v1/route", json={**ask, "model": f"auto:{name}"}).json() for name in ("dear", "cheap")}
    hashes = {name: one["policy"]["artifact"] for name, one in made.items()}
    pages = {name: client.get(f"/console/router?of={name}").text for name in made}
    for name, other in (("dear", "cheap"), ("cheap", "dear")):
        assert hashes[name] in pages[name]
        assert hashes[other] not in pages[name]
        assert f'href="/console/router?of={name}" aria-current="page"' in pages[name]
        found = client.get(f"/console/decisions?router={name}").text
        assert made[name]["id"] in found
        assert made[other]["id"] not in found
        shown = client.get(f"/console/decisions/{made[name]['id']}")
        assert f"{name}: sha256:" in shown.text
        near = client.get(f"/console/decisions/{made[name]['id']}/neighbours")
        assert (near.status_code, "the champion" in near.text) == (200, True)
        assert f'href="/console?of={other}&amp;period=1h"' in client.get(f"/console?of={other}").text
        assert f"calls that {name} decided" in client.get(f"/console/spend?of={name}").text

    def n_decisions(of):
        page = client.get(f"/console?period=5m{of}").text
        shown = re.findall(r"<dt>Decisions</dt><dd><span class=\"value\">(\d+)</span>", page)
        return shown, "that dear decided" in page

    eventually(lambda: n_decisions("") == (["2"], False), "both decisions are counted")
    assert n_decisions("&of=dear") == (["1"], True)
    assert client.get("/console/spend?of=nope").status_code == 404
    assert hashes["dear"] in client.get("/console/router").text  # the first one
    assert client.get("/console/router?of=nope").status_code == 404
    assert client.get("/console/catalog?of=cheap").status_code == 200
    assert 'value="cheap/champion"' in client.get("/console/playground").text
