"""What a service of 0.1 left behind works with today's code (docs/upgrading.md; `make_0_1.py` says how it was made)."""

import asyncio
import json
import tarfile
from pathlib import Path

import asyncpg
import click
import polars as pl
import pytest
from asked_log import asked
from command_line import run_command
from starlette.testclient import TestClient

from router_model import Router
from router_model.cli import group
from router_model.serving.app import create_app
from router_model.serving.common.settings import Settings
from router_model.serving.decision_log.rows import Kind

USD = 1e9


@pytest.fixture
def left(tmp_path):
    """The files of 0.1, in a folder of the test's own."""
    with tarfile.open(Path(__file__).with_name("release_0_1.tar.gz")) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path


@pytest.fixture
def known(left):
    """What 0.1 said of them."""
    return json.loads((left / "known.json").read_text())


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_a_log_is_migrated_and_every_record_is_there(left, known, database, request):
    url = f"sqlite:///{left}/log.db"
    if database == "postgresql":
        url = request.getfixturevalue("new_database")()
        asyncio.run(_filled(url, (left / "log.sql").read_text()))
    counts = asked(url, lambda store: store.count())
    assert counts == {
        Kind.DECISION: 5, Kind.ATTEMPT: 2, Kind.FEEDBACK: 1, Kind.SESSION: counts[Kind.SESSION], Kind.RESPONSE: 0,
    }  # fmt: skip
    done = run_command(
        "log", "export", "--log", url, "--spool", left / "spool", "--out", left / "table.parquet"
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = pl.read_parquet(left / "table.parquet").sort("timestamp")
    said = [json.loads(messages)[-1]["content"] for messages in rows["messages"]]
    assert said == [one["prompt"] for one in known["asked"]]
    assert rows["quality"].to_list() == [0.25, None, None, None, None]
    assert rows["cost_usd"].sum() * USD == pytest.approx(known["spent_nanos"])


async def _filled(url, statements):
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        await connection.execute(statements)
    finally:
        await connection.close()


def test_a_router_decides_the_same(left, known):
    router = Router.load(left / "router")
    for prompt, told in known["routed"].items():
        decision = router.route(prompt).as_dict()
        assert (decision["model"], decision["reason"]) == (told["model"], told["reason"])
        for step, before in zip(decision["plan"], told["plan"], strict=True):
            for name, value in before.items():
                is_number = isinstance(value, float | list)
                assert step[name] == (pytest.approx(value, rel=1e-5) if is_number else value), name


def test_a_service_goes_on_with_all_of_it(left, known):
    """The key is let in, its budget is what 0.1 left of it, and its decisions are found."""
    (left / "providers.toml").write_text('[echo]\nkind = "echo"\nmodels = ["*"]\n')
    files = {"keys": left / "keys.toml", "budget_file": left / "router-budgets.db", "log_spool": left / "spool"}
    settings = Settings(
        artifact=left / "router", log=f"sqlite:///{left}/log.db", providers=left / "providers.toml", **files
    )
    with TestClient(create_app(settings), base_url="http://127.0.0.1:8484") as client:
        client.headers["authorization"] = f"Bearer {known['key']}"
        told = client.get("/v1/key").json()["data"]
        assert (told["label"], told["usage"] * USD) == ("ann", pytest.approx(known["spent_nanos"]))
        first = known["asked"][0]
        assert client.get(f"/v1/decisions/{first['decision_id']}").json()["model"] == first["model"]
        given = {"decision_id": first["decision_id"], "thumb": "up"}
        assert client.post("/v1/feedback", json=given).status_code == 202
        asked_again = {"messages": [{"role": "user", "content": first["prompt"]}], "model": "auto"}
        assert client.post("/v1/chat/completions", json=asked_again).headers["x-router-model"] == first["model"]
        client.headers["authorization"] = f"Bearer {known['key'][:-1]}_"
        assert client.get("/v1/key").status_code == 401


def test_every_option_of_every_command_is_still_there(known):
    """Nothing was renamed, so nothing needs a hint."""
    gone = {}
    for name, options in known["options"].items():
        command, context = group, click.Context(group)
        for part in name.split():
            command = command.get_command(context, part)
            assert command is not None, name
        there = {option for one in command.params for option in one.opts}
        gone[name] = set(options) - there
    assert not any(gone.values()), gone
