"""Pages of a service that has no log, none that answers, or hardly anything in it; none of these has a router."""

import pytest
from processes import deaf_port, eventually
from starlette.testclient import TestClient

from router_model.serving.app import create_app
from router_model.serving.common.settings import Settings


def service(folder, log) -> TestClient:
    settings = Settings(
        default_plan=("a/model",), insecure=True, log=log, log_flush_s=0.01,
        log_spool=folder / "spool", budget_file=folder / "budgets.db",
    )  # fmt: skip
    return TestClient(create_app(settings), base_url="http://127.0.0.1:8484")


@pytest.mark.parametrize(
    ("log", "says"),
    [
        ("none", "There is no decision log (--log none), so there is nothing to show; give it one with --log."),
        ("postgresql://nobody@127.0.0.1:{port}/log", "The decision log"),
    ],
    ids=["none", "PostgreSQL is down"],
)
def test_without_a_log_pages_show_what_the_service_knows_itself(tmp_path, log, says):
    with deaf_port() as port, service(tmp_path, log.format(port=port)) as client:
        now, spend, found = (client.get(f"/console{path}") for path in ("", "/spend", "/decisions"))
        assert [one.status_code for one in (now, spend, found)] == [200, 200, 503]
        assert all(says in one.text for one in (now, spend))
        assert "Waiting for the log" in now.text  # the state of this worker
        assert "No budget limits" in spend.text
        assert "Nothing was asked" not in now.text
        router, catalog, playground = (
            client.get(f"/console/{path}").text for path in ("router", "catalog", "playground")
        )
        assert "No router is loaded" in router
        assert "a/model" in router  # the default plan
        assert "There are no models" in catalog
        assert "nothing to preview" in playground


def test_one_decision_is_enough_for_every_page(tmp_path):
    with service(tmp_path, f"sqlite:///{tmp_path / 'log.db'}") as client:
        assert "Nothing was asked in this period" in client.get("/console").text
        assert "Nothing was decided yet" in client.get("/console/decisions").text
        asked = {"messages": [{"role": "user", "content": "Hi"}]}
        decided = client.post("/v1/route", json=asked).json()["id"]
        eventually(lambda: decided in client.get("/console/decisions").text, "the log has it")
        # A minute's sums are remembered for a moment.
        eventually(lambda: "Over time" in client.get("/console").text, "the figures have it")
        assert "no costs to compare" in client.get("/console").text
        page = client.get(f"/console/decisions/{decided}").text
        assert "degraded: the default plan" in page
        assert "No call of this decision" in page
        assert "No router is loaded" in client.get(f"/console/decisions/{decided}/neighbours").text
        assert client.get("/console/spend").status_code == 200
